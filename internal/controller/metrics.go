package controller

import (
	"bytes"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// The values of the label source of the metric of a certificate's end.
const (
	sourceStored  = "stored"  // what the Secret holds
	sourceServed  = "served"  // the first to end of what the ready pods serve
	sourceTrusted = "trusted" // when the first webhook entry stops to trust what is served
)

// metrics is what the controller counts, and what it has seen last.
type metrics struct {
	version string

	heals, rolls, retired, refusals, errors *family

	mu   sync.Mutex
	seen map[string]seen // by component
}

// seen is what a component's last reconcile saw.
type seen struct {
	at           time.Time
	certificates []certificate
	findings     []finding
}

func newMetrics(version string, components []Component) *metrics {
	m := &metrics{
		version: version,
		heals:   newFamily(typeCounter, "heals_total", "Repairs and renewals, by their reason.", "component", "reason"),
		rolls:   newFamily(typeCounter, "rolls_total", "Rolls of a Deployment to another certificate.", "component"),
		retired: newFamily(
			typeCounter, "retired_cas_total", "CA certificates that left a Secret, because nothing serves a certificate of theirs.", "component",
		),
		refusals: newFamily(
			typeCounter, "refusals_total", "Times that pods began not to be rolled to what a Secret holds, by the reason.", "component", "code",
		),
		errors: newFamily(typeCounter, "reconcile_errors_total", "Reconciles that ended with an error.", "component"),
		seen:   map[string]seen{},
	}
	// A counter that is there from the beginning has no first step that a rate would miss.
	for _, c := range components {
		for _, f := range []*family{m.rolls, m.retired, m.errors} {
			f.add(0, c.Deployment)
		}
	}
	return m
}

// observe takes note of what a reconcile of a component has seen.
func (m *metrics) observe(component string, s seen) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[component] = s
}

// gauges are worked out from what was seen when they are asked for.
type gauges struct {
	notAfter, ready, stale, trusted, finding, last *family
}

// ServeHTTP writes the metrics.
func (m *metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var text bytes.Buffer
	for _, f := range m.collect() {
		f.write(&text)
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(text.Bytes())
}

// collect is all metrics as they are now.
func (m *metrics) collect() []*family {
	g := gauges{
		notAfter: newFamily(
			typeGauge, "certificate_not_after_timestamp_seconds",
			"End of a certificate, as the Secret stores it, as the pod serves it whose ends first, as the webhook entry trusts it that stops "+
				"to first.",
			"component", "service", "source",
		),
		ready: newFamily(typeGauge, "ready_pods", "Ready pods behind a Service.", "component", "service"),
		stale: newFamily(typeGauge, "stale_pods", "Ready pods that serve another certificate than the Secret holds.", "component", "service"),
		trusted: newFamily(
			typeGauge, "webhook_trusted", "Whether a webhook entry trusts what every ready pod serves.", "component", "configuration", "webhook",
		),
		finding: newFamily(typeGauge, "finding", "1 while there is a finding of this code.", "component", "service", "code"),
		last:    newFamily(typeGauge, "last_reconcile_timestamp_seconds", "Time of the last reconcile without an error.", "component"),
	}
	build := newFamily(typeGauge, "build_info", "1, with the version of the program.", "version", "goversion")
	build.set(1, m.version, runtime.Version())
	m.mu.Lock()
	defer m.mu.Unlock()
	for component, s := range m.seen {
		g.last.set(float64(s.at.UnixMilli())/1000, component)
		for _, f := range s.findings {
			g.finding.set(1, component, f.service, string(f.code))
		}
		for i := range s.certificates {
			g.add(component, s.at, &s.certificates[i])
		}
	}
	return []*family{g.notAfter, g.ready, g.stale, g.trusted, g.finding, m.heals, m.rolls, m.retired, m.refusals, m.errors, g.last, build}
}

// add sets the gauges of one certificate.
func (g *gauges) add(component string, now time.Time, c *certificate) {
	g.ready.set(float64(len(c.pods)), component, c.Service)
	g.stale.set(float64(len(c.stale())), component, c.Service)
	ends := map[string]time.Time{}
	end := func(source string, t time.Time) {
		if before, ok := ends[source]; !ok || t.Before(before) {
			ends[source] = t
		}
	}
	if c.stored.OK() && c.stored.Leaf != nil {
		end(sourceStored, c.stored.NotAfter)
	}
	for _, p := range c.pods {
		if p.err == nil {
			end(sourceServed, p.chain[0].NotAfter)
		}
	}
	for _, e := range c.entries {
		if e.missing {
			continue
		}
		trusted := 1.0
		for _, p := range c.pods {
			if p.err != nil {
				continue
			}
			o := verify.OutcomeOf(p.chain, e.cas, c.name, now)
			if o.Code != "" {
				trusted = 0
				end(sourceTrusted, now) // it is not trusted now
				continue
			}
			end(sourceTrusted, o.NotAfter)
		}
		g.trusted.set(trusted, component, e.configuration, e.name)
	}
	for source, t := range ends {
		g.notAfter.set(float64(t.Unix()), component, c.Service, source)
	}
}
