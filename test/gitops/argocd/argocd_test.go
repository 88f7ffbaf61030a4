package argocd

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

func TestArgoCD(t *testing.T) {
	c := start(t)
	scenario.InOrder(t, []scenario.Part{
		{Name: "from auto mode to cert-manager mode, tracked by label", Do: func(t *testing.T) {
			c.track(t, byLabel)
			c.lifeOf(t, charttest.Auto, charttest.CertManager)
		}},
		{Name: "from cert-manager mode to auto mode, tracked by annotation", Do: func(t *testing.T) {
			c.track(t, byAnnotation)
			c.lifeOf(t, charttest.CertManager, charttest.Auto)
		}},
		{Name: "in auto mode, webhook configurations in a later wave", Do: c.waves},
		{Name: "in auto mode, with the CRDs", Do: c.bringCRDs},
		{Name: "a replace in auto mode without the controller", Do: c.replaceWithoutController},
	})
}

// lifeOf does everything to an Application that begins in a mode and ends in another one.
func (c *argoCD) lifeOf(t *testing.T, mode, other string) {
	a := c.application(t, mode)
	relabelled := scenario.Labelled("twice")
	a.Run(t,
		scenario.Install(a, "install", scenario.Values(mode)),
		scenario.Idle(a, "idle, compared three times, with `prune: true`"),
		scenario.Renew(a),
		scenario.Quiet(a, "everything is synced once more", func(t *testing.T) {
			secrets := a.secrets(t)
			a.sync(t)
			assert.Equal(t, secrets, a.secrets(t), "nothing is pruned")
		}),
		scenario.Upgrade(a, "upgrade in the same mode", scenario.Values(mode, scenario.Labelled("once"))),
		scenario.Tamper(a, "somebody changes a webhook, `selfHeal: true` changes it back"),
		scenario.Switch(a, mode, other),
		a.with("ServerSideApply=true", scenario.Upgrade(a, "upgrade with `ServerSideApply=true`", scenario.Values(other, relabelled))),
		a.with("Replace=true", scenario.Replace(a, "`Replace=true`", scenario.Values(other, relabelled, scenario.Annotated("replaced")))),
	)
}

// secrets are the Secrets with certificates, and which ones they are.
func (a *application) secrets(t *testing.T) map[string]string {
	t.Helper()
	list, err := a.Env.Client.CoreV1().Secrets(a.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "type=kubernetes.io/tls"})
	require.NoError(t, err)
	all := map[string]string{}
	for _, s := range list.Items {
		all[s.Name] = string(s.UID)
	}
	require.NotEmpty(t, all)
	return all
}

// waves installs with webhook configurations that Argo CD applies only when the pods are ready, whose init containers look for them.
func (c *argoCD) waves(t *testing.T) {
	a := c.application(t, charttest.Auto)
	wave := map[string]any{"argocd.argoproj.io/sync-wave": "1"}
	later := charttest.PerComponent(map[string]any{"webhook": map[string]any{"annotations": wave}})
	a.Run(t, scenario.Install(a, "install, webhook configurations in a later wave", scenario.Values(charttest.Auto, later)))
}

// replaceWithoutController shows what the controller is for: nothing else puts the bundles back, until a pod starts. The option is set
// after the install, which Argo CD would replace with it: it makes each role twice then, fails at that, and syncs once more, at a time
// when the pods have put their CA into the bundles or not.
func (c *argoCD) replaceWithoutController(t *testing.T) {
	a := c.application(t, charttest.Auto)
	a.Deploy(t, scenario.Values(charttest.Auto, scenario.WithoutController()))
	a.RequireAdmission(t, charttest.Entries)
	a.options = []string{"Replace=true"}
	drift := a.Drift(t, func() {
		a.Change(t, scenario.Values(charttest.Auto, scenario.WithoutController(), scenario.Annotated("replaced")))
	})
	assert.Equal(t, scenario.NoDrift, drift, "Argo CD sees nothing in it")
	a.RequireUntrusted(t)
	a.Restart(t)
	a.RequireAdmission(t, charttest.Entries)
}
