//go:build e2e

package e2e

import (
	"slices"
	"testing"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

// What docs/switching-modes.md says of each switch: that no request fails, or that there is a gap, after which all is well.
func TestSwitchesBetweenModes(t *testing.T) {
	i := prepare(t)
	own := i.CreateOwnSecrets(t)
	i.Install(t, values(charttest.Auto, nil))
	i.RequireAdmission(t, charttest.Entries)
	from := charttest.Auto
	for _, to := range []string{
		charttest.CertManager, charttest.Auto, charttest.Manual, charttest.Auto, charttest.CertManager, charttest.Manual, charttest.CertManager,
	} {
		if !slices.Contains(modes, to) || to == from {
			continue
		}
		ok := t.Run(from+" to "+to, func(t *testing.T) {
			before := i.Targets(t)
			p := probe.Start(t.Context(), before, rate)
			var both []byte
			if to == charttest.Manual {
				both = i.AddCA(t, own)
			}
			i.Upgrade(t, values(to, both))
			i.Settle(t)
			report := p.Stop()
			if from == charttest.Manual {
				t.Log(charttest.Figures(report))
			} else {
				charttest.AssertNoneFailed(t, report)
				i.AssertTrustKept(t, before)
			}
			requirePods(t, i)
			i.RequireAdmission(t, charttest.Entries)
		})
		if !ok {
			return
		}
		from = to
	}
}
