package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
	"github.com/volcano-sh/kthena-certgen/internal/helm"
	"github.com/volcano-sh/kthena-certgen/internal/probe"
)

// probeRate is how many objects are sent in a second while something happens.
const probeRate = 40

// step is one change of a charttest.Release and whether it may fail admission requests.
type step struct {
	name string
	// gap says that requests fail by nature: see docs/switching-modes.md.
	gap bool
	do  func(t *testing.T)
}

// TestMatrix goes from each mode to each, by upgrade and back by rollback, and prints what users would have noticed.
func TestMatrix(t *testing.T) {
	counts := []int{1, 3}
	if testing.Short() {
		counts = []int{3}
	}
	var figures []string
	for _, n := range counts {
		for _, from := range charttest.Modes {
			t.Run(fmt.Sprintf("from %s with %d replicas", from, n), func(t *testing.T) {
				i := env.Prepare(t)
				own := i.CreateOwnSecrets(t)
				values := func(t *testing.T, mode string) map[string]any {
					if mode == charttest.Manual {
						return charttest.InManualMode(n, slices.Concat(own, i.LiveCAs(t)))
					}
					return charttest.InMode(mode, n)
				}
				first := charttest.InMode(from, n)
				if from == charttest.Manual {
					first = charttest.InManualMode(n, own)
				}
				i.Install(t, first)
				changed := charttest.Merged(first, map[string]any{"workload": map[string]any{"controllerManager": map[string]any{"podAnnotations": map[string]any{"changed": "yes"}}}})
				steps := []step{{from + " -> " + from + ", a value changed", false, func(t *testing.T) { i.Upgrade(t, changed) }}}
				for _, to := range charttest.Modes {
					if to == from {
						continue
					}
					steps = append(steps,
						step{from + " -> " + to, from == charttest.Manual, func(t *testing.T) { i.Upgrade(t, values(t, to)) }},
						step{from + " <- " + to + ", rollback", from == charttest.Manual || to == charttest.Manual, func(t *testing.T) { i.Rollback(t, 0) }})
				}
				for _, s := range steps {
					figures = append(figures, fmt.Sprintf("%d replicas  %s", n, measure(t, i, s)))
				}
			})
		}
	}
	t.Logf("\n%s", strings.Join(figures, "\n"))
}

// measure does a step while objects are sent, and returns a line of figures. In the end every entry works.
func measure(t *testing.T, i *charttest.Installation, s step) string {
	t.Helper()
	p := probe.Start(t.Context(), i.Targets(t), probeRate)
	s.do(t)
	r := p.Stop()
	if !s.gap {
		charttest.AssertNoneFailed(t, r)
	}
	i.RequireAdmission(t, charttest.Entries)
	return fmt.Sprintf("%-40s %s", s.name, charttest.Figures(r))
}

func TestAFailedSwitchHarmsNobody(t *testing.T) {
	i := env.Install(t, charttest.InMode(charttest.Auto, 1))
	missing := charttest.Merged(charttest.InMode(charttest.CertManager, 1), map[string]any{"global": map[string]any{"certManager": map[string]any{"issuerRef": map[string]any{"name": "missing"}}}})
	t.Log(measure(t, i, step{"upgrade to an issuer that does not exist", false, func(t *testing.T) {
		_, err := i.Helm.Upgrade(t.Context(), charttest.Release, env.Chart(), missing, helm.ReleaseOptions{Wait: true, Timeout: 5 * time.Second})
		require.ErrorContains(t, err, "upgrading release "+i.Namespace+"/kthena: ")
	}}))
	t.Log(measure(t, i, step{"rollback of the failed upgrade", false, func(t *testing.T) { i.Rollback(t, 1) }}))
}
