package charts

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const alerts = "kthena/files/alerts.yaml"

// promtool runs Prometheus' own tool. It is built without the clouds that Prometheus finds targets in, which is most of its code; that
// takes a tag, which `go tool` does not.
func promtool(t *testing.T, args ...string) error {
	t.Helper()
	const program = "github.com/prometheus/prometheus/cmd/promtool"
	cmd := exec.CommandContext(t.Context(), "go", append([]string{
		"run", "-modfile=../hack/promtool/go.mod", "-tags=remove_all_sd", program,
	}, args...)...)
	output, err := cmd.CombinedOutput()
	t.Logf("%s", output)
	return err
}

// rewritten is a copy of the alerts in which one text is another one.
func rewritten(t *testing.T, before, after string) string {
	t.Helper()
	content, err := os.ReadFile(alerts)
	require.NoError(t, err)
	require.Contains(t, string(content), before)
	file := filepath.Join(t.TempDir(), "alerts.yaml")
	require.NoError(t, os.WriteFile(file, bytes.Replace(content, []byte(before), []byte(after), 1), 0o600))
	return file
}

func TestPrometheusTakesTheAlerts(t *testing.T) {
	assert.NoError(t, promtool(t, "check", "rules", alerts))
	assert.Error(t, promtool(t, "check", "rules", rewritten(t, "time()", "time(")), "an expression that is none is refused")
}

// testdata/alerts says which series let which alert fire, and when.
func TestTheAlertsFireWhenTheyShould(t *testing.T) {
	assert.NoError(t, promtool(t, "test", "rules", "testdata/alerts/alerts.test.yaml"))
}

func TestThePrometheusRuleHoldsTheAlerts(t *testing.T) {
	var want map[string]any
	require.NoError(t, yaml.Unmarshal(read(t, ".", alerts), &want))
	got := spec(
		t, render(t, "{global: {certgen: {controller: {metrics: {prometheusRule: {enabled: true}}}}}}"), "PrometheusRule", "kthena-certgen",
	)
	assert.Equal(t, want, got)
}

// Grafana fills in its variables before it asks Prometheus.
func TestPrometheusTakesTheQueriesOfTheDashboard(t *testing.T) {
	var dashboard struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(read(t, ".", "kthena/files/dashboard.json"), &dashboard))
	assert.NotEmpty(t, dashboard.UID, "without it every import makes another dashboard")
	filled := strings.NewReplacer("$namespace", "kthena-system", "$__rate_interval", "5m")
	var rules []map[string]any
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			expr := filled.Replace(target.Expr)
			assert.NotContains(t, expr, "$", p.Title)
			rules = append(rules, map[string]any{"record": "panel", "expr": expr, "labels": map[string]any{"panel": p.Title, "query": target.RefID}})
		}
	}
	content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	assert.NoError(t, promtool(t, "check", "rules", file))
}
