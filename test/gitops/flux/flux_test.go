package flux

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// upgrades are settings of a HelmRelease for its upgrades.
func upgrades(settings map[string]any) map[string]any { return map[string]any{"upgrade": settings} }

func TestFlux(t *testing.T) {
	startFlux(t)
	serveCharts(t)
	scenario.InOrder(t, []scenario.Part{
		{Name: "from auto mode to cert-manager mode", Do: func(t *testing.T) { lifeOf(t, charttest.Auto, charttest.CertManager) }},
		{Name: "from cert-manager mode to auto mode", Do: func(t *testing.T) { lifeOf(t, charttest.CertManager, charttest.Auto) }},
		{Name: "a replace in auto mode without the controller", Do: replaceWithoutController},
	})
}

// lifeOf does everything to a release that begins in a mode and ends in another one.
func lifeOf(t *testing.T, mode, other string) {
	r := newRelease(t, mode)
	// Whatever is a difference to Flux is one that it has told of.
	told := func(t *testing.T, do func()) string {
		before := r.drift(t)
		do()
		return scenario.Count(r.drift(t)-before, "corrected")
	}
	none := func(t *testing.T, do func()) string {
		drift := told(t, do)
		assert.Equal(t, scenario.NoDrift, drift)
		return drift
	}
	r.Run(t,
		scenario.Step{Name: "install", Do: func(t *testing.T) string {
			return none(t, func() {
				r.install(t, scenario.Values(mode))
				r.RequireNoRestarts(t)
			})
		}},
		scenario.Step{Name: "idle, looked at three times", Do: func(t *testing.T) string {
			return none(t, func() {
				r.Settle(t)
				r.Stands(t, func() { r.refresh(t, 3) })
				assert.EqualValues(t, 1, r.revision(t), "no upgrade")
			})
		}},
		scenario.Step{Name: "a certificate is renewed, the controller rolls the pods", Do: func(t *testing.T) string {
			return none(t, func() {
				r.Renew(t)
				r.Stands(t, func() { r.refresh(t, 2) })
			})
		}},
		scenario.Step{Name: "upgrade in the same mode", Do: func(t *testing.T) string {
			return none(t, func() {
				rolled, bundles := r.Rolled(t), r.Bundles(t)
				r.change(t, scenario.Values(mode, scenario.Labelled("once")))
				assert.Equal(t, rolled, r.Rolled(t), "the controller's annotation survives")
				assert.Equal(t, bundles, r.Bundles(t))
			})
		}},
		scenario.Step{Name: "somebody changes a webhook, Flux changes it back", Do: func(t *testing.T) string {
			drift := told(t, func() {
				bundles := r.Bundles(t)
				r.Tamper(t)
				r.refresh(t, 1)
				assert.False(t, r.Tampered(t))
				assert.Equal(t, bundles, r.Bundles(t))
			})
			assert.Equal(t, "1 corrected", drift)
			return drift
		}},
		scenario.Step{Name: "an upgrade fails and is rolled back", Do: func(t *testing.T) string {
			return none(t, func() {
				before := r.Targets(t)
				r.update(t, scenario.Values(mode, scenario.Labelled("twice"), scenario.Missing()), map[string]any{"timeout": "8s"},
					upgrades(map[string]any{"remediation": map[string]any{"remediateLastFailure": true}}))
				r.await(t, "the release is rolled back", is("Remediated", metav1.ConditionTrue))
				r.Settle(t)
				r.AssertTrustKept(t, before)
				r.change(t, scenario.Values(mode, scenario.Labelled("once")), map[string]any{"timeout": "2m"})
			})
		}},
		scenario.Step{Name: "`force: true`", Replaces: true, Do: func(t *testing.T) string {
			return none(t, func() {
				r.change(t, scenario.Values(mode, scenario.Labelled("once"), scenario.Annotated("by force")), upgrades(map[string]any{"force": true}))
			})
		}},
		scenario.Step{Name: "from " + mode + " mode", Do: func(t *testing.T) string {
			return none(t, func() {
				r.Mode = other
				r.change(t, scenario.Values(other), upgrades(map[string]any{"force": false}))
				r.refresh(t, 1)
			})
		}},
	)
}

// replaceWithoutController shows what the controller is for: nothing else puts the bundles back, until a pod starts.
func replaceWithoutController(t *testing.T) {
	r := newRelease(t, charttest.Auto)
	r.install(t, scenario.Values(charttest.Auto, scenario.WithoutController()))
	r.RequireAdmission(t, charttest.Entries)
	values := scenario.Values(charttest.Auto, scenario.WithoutController(), scenario.Annotated("by force"))
	r.update(t, values, upgrades(map[string]any{"force": true}))
	r.await(t, "the chart's test says so", is("TestSuccess", metav1.ConditionFalse))
	for entry, bundle := range r.Bundles(t) {
		assert.Empty(t, bundle, entry)
	}
	for _, target := range r.Targets(t) {
		require.ErrorContains(t, target.Send(t.Context(), true), "x509", target.Entry)
	}
	r.change(t, values, map[string]any{"test": map[string]any{"enable": false}})
	assert.Zero(t, r.drift(t), "Flux sees nothing in it")
	r.Restart(t)
	r.RequireAdmission(t, charttest.Entries)
}
