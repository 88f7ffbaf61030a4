package flux

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// upgrades are settings of a HelmRelease for its upgrades.
func upgrades(settings map[string]any) map[string]any { return map[string]any{"upgrade": settings} }

// byForce are settings with which an upgrade replaces objects, or does not.
func byForce(force bool) map[string]any { return upgrades(map[string]any{"force": force}) }

func TestFlux(t *testing.T) {
	d := start(t)
	scenario.InOrder(t, []scenario.Part{
		{Name: "from auto mode to cert-manager mode", Do: func(t *testing.T) { lifeOf(t, d, charttest.Auto, charttest.CertManager) }},
		{Name: "from cert-manager mode to auto mode", Do: func(t *testing.T) { lifeOf(t, d, charttest.CertManager, charttest.Auto) }},
		{Name: "a replace in auto mode without the controller", Do: func(t *testing.T) { replaceWithoutController(t, d) }},
	})
}

// lifeOf does everything to a release that begins in a mode and ends in another one.
func lifeOf(t *testing.T, d *scenario.Deployer, mode, other string) {
	r := newRelease(t, d, mode)
	once := scenario.Labelled("once")
	r.Run(t,
		scenario.Install(r, "install", scenario.Values(mode)),
		scenario.Idle(r, "idle, looked at three times"),
		scenario.Renew(r),
		scenario.Upgrade(r, "upgrade in the same mode", scenario.Values(mode, once)),
		scenario.Tamper(r, "somebody changes a webhook, Flux changes it back"),
		scenario.Quiet(r, "an upgrade fails and is rolled back", func(t *testing.T) {
			before := r.Targets(t)
			r.set(upgrades(map[string]any{"remediation": map[string]any{"remediateLastFailure": true}}))
			r.set(map[string]any{"timeout": "8s"})
			r.request(t, scenario.Values(mode, scenario.Labelled("twice"), scenario.Missing()))
			r.await(t, "the release is rolled back", is("Remediated", metav1.ConditionTrue))
			r.Settle(t)
			r.AssertTrustKept(t, before)
			r.set(map[string]any{"timeout": "2m"})
			r.Change(t, scenario.Values(mode, once))
		}),
		r.with(byForce(true), scenario.Replace(r, "`force: true`", scenario.Values(mode, once, scenario.Annotated("by force")))),
		r.with(byForce(false), scenario.Switch(r, mode, other)),
	)
}

// replaceWithoutController shows what the controller is for: nothing else puts the bundles back, until a pod starts.
func replaceWithoutController(t *testing.T, d *scenario.Deployer) {
	r := newRelease(t, d, charttest.Auto)
	r.Deploy(t, scenario.Values(charttest.Auto, scenario.WithoutController()))
	r.RequireAdmission(t, charttest.Entries)
	values := scenario.Values(charttest.Auto, scenario.WithoutController(), scenario.Annotated("by force"))
	r.set(byForce(true))
	r.request(t, values)
	r.await(t, "the chart's test says so", is("TestSuccess", metav1.ConditionFalse))
	r.RequireUntrusted(t)
	r.set(map[string]any{"test": map[string]any{"enable": false}})
	r.Change(t, values)
	assert.Zero(t, r.told(t), "Flux sees nothing in it")
	r.Restart(t)
	r.RequireAdmission(t, charttest.Entries)
}
