package chart

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// probeRate is how many objects are sent in a second while something happens.
const probeRate = 40

// observed are values that leave those subcharts on with which switches between modes are tried, and the number of their entries. With
// -short that is one: it has entries of both kinds, and the others are the same but for their names.
func observed() (values map[string]any, entries int) {
	if testing.Short() {
		return only("registry"), 4
	}
	return nil, charttest.Entries
}

// inMode are values of charttest for what is observed.
func inMode(mode string, n int) map[string]any {
	values, _ := observed()
	return charttest.Merged(charttest.InMode(mode, n), values)
}

func inManualMode(n int, bundle []byte) map[string]any {
	values, _ := observed()
	return charttest.Merged(charttest.InManualMode(n, bundle), values)
}

func requireAdmission(t *testing.T, i *charttest.Installation) {
	t.Helper()
	_, entries := observed()
	i.RequireAdmission(t, entries)
}

// step is one change of a charttest.Release and whether it may fail admission requests.
type step struct {
	name string
	// gap says that requests fail by nature: see docs/switching-modes.md.
	gap bool
	do  func(t *testing.T)
}

// TestSwitchesInARow goes every way from one mode to another once, such that each switch begins with what the one before has left, and
// meets the end of its pods.
func TestSwitchesInARow(t *testing.T) {
	i := env.Prepare(t)
	own := i.CreateOwnSecrets(t)
	i.Install(t, inMode(charttest.Auto, 3))
	from := charttest.Auto
	for _, to := range []string{
		charttest.CertManager, charttest.Manual, charttest.Auto, charttest.Manual, charttest.CertManager, charttest.Auto,
	} {
		t.Log(measure(t, i, step{from + " -> " + to, from == charttest.Manual, func(t *testing.T) {
			values := inMode(to, 3)
			if to == charttest.Manual {
				values = inManualMode(3, i.AddCA(t, own))
			}
			i.Upgrade(t, values)
		}}))
		requireAdmission(t, i)
		from = to
	}
	t.Log(measure(t, i, step{"rollback to " + charttest.CertManager + ", and the end of all old pods", false, func(t *testing.T) {
		i.Rollback(t, 0)
		i.Settle(t)
	}}))
	requireAdmission(t, i)
}

// TestMatrix goes from each mode to each, by upgrade and back by rollback, and prints what users would have noticed.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("the switches are tried in a row; make matrix measures them one by one")
	}
	var figures []string
	for _, n := range []int{1, 3} {
		for _, from := range charttest.Modes {
			t.Run(fmt.Sprintf("from %s with %d replicas", from, n), func(t *testing.T) {
				i := env.Prepare(t)
				own := i.CreateOwnSecrets(t)
				values := func(t *testing.T, mode string) map[string]any {
					if mode == charttest.Manual {
						return inManualMode(n, i.AddCA(t, own))
					}
					return inMode(mode, n)
				}
				first := inMode(from, n)
				if from == charttest.Manual {
					first = inManualMode(n, own)
				}
				i.Install(t, first)
				changed := charttest.Merged(
					first,
					map[string]any{"registry": map[string]any{"controllerManager": map[string]any{"podAnnotations": map[string]any{"changed": "yes"}}}},
				)
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
					change := s.do
					s.do = func(t *testing.T) {
						change(t)
						i.Settle(t) // the end of a pod may fail requests, too
					}
					figures = append(figures, fmt.Sprintf("%d replicas  %s", n, measure(t, i, s)))
					requireAdmission(t, i)
				}
			})
		}
	}
	t.Logf("\n%s", strings.Join(figures, "\n"))
}

// measure does a step while objects are sent, and returns a line of figures.
func measure(t *testing.T, i *charttest.Installation, s step) string {
	t.Helper()
	before := i.Targets(t)
	p := i.Probe(t, probeRate)
	s.do(t)
	r := p.Stop()
	if !s.gap {
		charttest.AssertNoneFailed(t, r)
		// Pods are replaced so fast here that a request seldom meets one that is trusted no more.
		i.AssertTrustKept(t, before)
	}
	return fmt.Sprintf("%-46s %s", s.name, charttest.Figures(r))
}

func TestAFailedSwitchHarmsNobody(t *testing.T) {
	i := env.Install(t, inMode(charttest.Auto, 1))
	missing := charttest.Merged(
		inMode(charttest.CertManager, 1),
		map[string]any{"global": map[string]any{"certManager": map[string]any{"issuerRef": map[string]any{"name": "missing"}}}},
	)
	t.Log(measure(t, i, step{"upgrade to an issuer that does not exist", false, func(t *testing.T) {
		_, err := i.Helm.Upgrade(t.Context(), charttest.Release, env.Chart(), missing, helm.ReleaseOptions{Wait: true, Timeout: 5 * time.Second})
		require.ErrorContains(t, err, "upgrading release "+i.Namespace+"/kthena: ")
	}}))
	t.Log(measure(t, i, step{"rollback of the failed upgrade", false, func(t *testing.T) { i.Rollback(t, 1) }}))
	requireAdmission(t, i)
}
