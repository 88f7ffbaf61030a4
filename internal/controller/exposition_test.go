package controller

import (
	"net/http/httptest"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// scrape reads the metrics with Prometheus' own parser.
func scrape(t *testing.T, m *metrics) map[string]*dto.MetricFamily {
	t.Helper()
	answer := httptest.NewRecorder()
	m.ServeHTTP(answer, nil)
	format := expfmt.ResponseFormat(answer.Header())
	require.Equal(t, expfmt.TypeTextPlain, format.FormatType())
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	require.NoError(t, err)
	return families
}

// value is that of the metric with these labels.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels map[string]string) float64 {
	t.Helper()
	require.Contains(t, families, name)
	for _, m := range families[name].Metric {
		found := map[string]string{}
		for _, l := range m.Label {
			found[l.GetName()] = l.GetValue()
		}
		if assert.ObjectsAreEqual(labels, found) {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	require.Failf(t, "no such metric", "%s%v", name, labels)
	return 0
}

func TestMetricsAreWhatPrometheusReads(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.renewed()
	s.cert().entries = append(s.cert().entries, entry{configuration: "config", name: "mistrusts", cas: s.current.CAs})
	m := newMetrics(`v1"\`+"\n", []Component{{Deployment: "server"}})
	m.heals.add(1, "server", "ca-bundle")
	m.heals.add(1, "server", "ca-bundle")
	m.observe("server", seen{now, s.o.certificates, []finding{{code: verify.Stale, service: "hook"}, {code: verify.Stale, service: "hook"}}})

	families := scrape(t, m)
	service := map[string]string{"component": "server", "service": "hook"}
	of := func(key, value string) map[string]string {
		return map[string]string{"component": "server", "service": "hook", key: value}
	}
	assert.EqualValues(t, 3, value(t, families, "kthena_certgen_ready_pods", service))
	assert.EqualValues(t, 3, value(t, families, "kthena_certgen_stale_pods", service))
	ends := "kthena_certgen_certificate_not_after_timestamp_seconds"
	assert.EqualValues(t, s.current.NotAfter.Unix(), value(t, families, ends, of("source", "stored")))
	assert.EqualValues(t, s.old.NotAfter.Unix(), value(t, families, ends, of("source", "served")))
	assert.EqualValues(t, now.Unix(), value(t, families, ends, of("source", "trusted")), "one entry does not trust it now")
	trusted := "kthena_certgen_webhook_trusted"
	assert.EqualValues(
		t, 1, value(t, families, trusted, map[string]string{"component": "server", "configuration": "config", "webhook": "check"}),
	)
	assert.EqualValues(
		t, 0, value(t, families, trusted, map[string]string{"component": "server", "configuration": "config", "webhook": "mistrusts"}),
	)
	assert.EqualValues(t, 1, value(t, families, "kthena_certgen_finding", of("code", "stale")))
	assert.EqualValues(t, 2, value(t, families, "kthena_certgen_heals_total", map[string]string{"component": "server", "reason": "ca-bundle"}))
	assert.EqualValues(
		t, 0, value(t, families, "kthena_certgen_rolls_total", map[string]string{"component": "server"}), "it is there from the beginning",
	)
	assert.EqualValues(
		t, now.Unix(), value(t, families, "kthena_certgen_last_reconcile_timestamp_seconds", map[string]string{"component": "server"}),
	)
	for _, f := range families["kthena_certgen_build_info"].Metric[0].Label {
		if f.GetName() == "version" {
			assert.Equal(t, `v1"\`+"\n", f.GetValue(), "the value of a label may be anything")
		}
	}

	m.observe("server", seen{at: now.Add(time.Minute)})
	families = scrape(t, m)
	assert.Empty(t, families["kthena_certgen_finding"].GetMetric(), "what is over is not shown any more")
}
