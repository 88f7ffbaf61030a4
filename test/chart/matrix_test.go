package chart

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/helm"
	"github.com/volcano-sh/kthena-certgen/internal/probe"
)

// probeRate is how many objects are sent in a second while something happens.
const probeRate = 40

// full makes the matrix cover one replica, too, which takes as long again.
var full = flag.Bool("full", false, "cover one replica in the matrix of switches, too")

// step is one change of a release and whether it may fail admission requests.
type step struct {
	name string
	// gap says that requests fail by nature: see docs/switching-modes.md.
	gap bool
	do  func(t *testing.T)
}

// TestMatrix goes from each mode to each, by upgrade and back by rollback, and prints what users would have noticed.
func TestMatrix(t *testing.T) {
	modes := []string{auto, certManager, manual}
	counts := []int{3}
	if *full {
		counts = []int{1, 3}
	}
	var figures []string
	for _, n := range counts {
		for _, from := range modes {
			t.Run(fmt.Sprintf("from %s with %d replicas", from, n), func(t *testing.T) {
				i := prepare(t)
				own := i.createOwnSecrets(t)
				values := func(t *testing.T, mode string) map[string]any {
					if mode == manual {
						return inManualMode(n, slices.Concat(own, i.liveCAs(t)))
					}
					return inMode(mode, n)
				}
				first := inMode(from, n)
				if from == manual {
					first = inManualMode(n, own)
				}
				i.install(t, first)
				changed := merged(first, map[string]any{"workload": map[string]any{"controllerManager": map[string]any{"podAnnotations": map[string]any{"changed": "yes"}}}})
				steps := []step{{from + " -> " + from + ", a value changed", false, func(t *testing.T) { i.upgrade(t, changed) }}}
				for _, to := range modes {
					if to == from {
						continue
					}
					steps = append(steps,
						step{from + " -> " + to, from == manual, func(t *testing.T) { i.upgrade(t, values(t, to)) }},
						step{from + " <- " + to + ", rollback", from == manual || to == manual, func(t *testing.T) {
							_, err := i.helm.Rollback(release, 0, wait)
							require.NoError(t, err)
						}})
				}
				for _, s := range steps {
					figures = append(figures, fmt.Sprintf("%d replicas  %s", n, i.measure(t, s)))
				}
			})
		}
	}
	t.Logf("\n%s", strings.Join(figures, "\n"))
}

// measure does a step while objects are sent, and returns a line of figures. In the end every entry works.
func (i *installation) measure(t *testing.T, s step) string {
	t.Helper()
	p := probe.Start(t.Context(), i.targets(t), probeRate)
	s.do(t)
	r := p.Stop()
	if !s.gap {
		assert.Zero(t, r.Broken(), "%s: %q", s.name, r.Errors)
		assert.LessOrEqual(t, r.Closed, r.ClosedLimit(), "%s: %q", s.name, r.Errors)
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets := i.targets(t)
		require.Len(c, targets, 7)
		for _, target := range targets {
			require.NoError(c, target.Send(t.Context(), true), s.name)
			require.NoError(c, target.Send(t.Context(), false), s.name)
		}
	}, 30*time.Second, 100*time.Millisecond)
	return fmt.Sprintf("%-40s %5s  %4d sent  %3d failed  %d closed  longest gap %s", s.name, r.Duration.Round(100*time.Millisecond), r.Sent, r.Failed, r.Closed, r.LongestGap.Round(10*time.Millisecond))
}

func TestAFailedSwitchHarmsNobody(t *testing.T) {
	i := install(t, inMode(auto, 1))
	missing := merged(inMode(certManager, 1), map[string]any{"global": map[string]any{"certManager": map[string]any{"issuerRef": map[string]any{"name": "missing"}}}})
	t.Log(i.measure(t, step{"upgrade to an issuer that does not exist", false, func(t *testing.T) {
		_, err := i.helm.Upgrade(t.Context(), release, chartDir, missing, helm.ReleaseOptions{Wait: true, Timeout: 5 * time.Second})
		require.ErrorContains(t, err, "upgrading release "+i.namespace+"/kthena: ")
	}}))
	t.Log(i.measure(t, step{"rollback of the failed upgrade", false, func(t *testing.T) {
		_, err := i.helm.Rollback(release, 1, wait)
		require.NoError(t, err)
	}}))
}
