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
	startArgoCD(t)
	repository := commitChart(t)
	scenario.InOrder(t, []scenario.Part{
		{Name: "from auto mode to cert-manager mode, tracked by label", Do: func(t *testing.T) {
			track(t, byLabel)
			lifeOf(t, repository, charttest.Auto, charttest.CertManager)
		}},
		{Name: "from cert-manager mode to auto mode, tracked by annotation", Do: func(t *testing.T) {
			track(t, byAnnotation)
			lifeOf(t, repository, charttest.CertManager, charttest.Auto)
		}},
		{Name: "in auto mode, webhook configurations in a later wave", Do: func(t *testing.T) { waves(t, repository) }},
		{Name: "in auto mode, with the CRDs", Do: func(t *testing.T) { bringCRDs(t, repository) }},
		{Name: "a replace in auto mode without the controller", Do: func(t *testing.T) { replaceWithoutController(t, repository) }},
	})
}

// lifeOf does everything to an Application that begins in a mode and ends in another one.
func lifeOf(t *testing.T, repository, mode, other string) {
	a := newApplication(t, repository, mode)
	none := func(t *testing.T, do func()) string {
		do()
		drift := scenario.Count(a.refresh(t, 1), "objects")
		assert.Equal(t, scenario.NoDrift, drift)
		return drift
	}
	a.Run(t,
		scenario.Step{Name: "install", Do: func(t *testing.T) string {
			return none(t, func() {
				a.install(t, scenario.Values(mode))
				a.RequireNoRestarts(t)
			})
		}},
		scenario.Step{Name: "idle, compared three times, with `prune: true`", Do: func(t *testing.T) string {
			return none(t, func() {
				a.Settle(t)
				before := a.started(t)
				a.Stands(t, func() { assert.Zero(t, a.refresh(t, 3)) })
				assert.Equal(t, before, a.started(t), "no sync")
			})
		}},
		scenario.Step{Name: "a certificate is renewed, the controller rolls the pods", Do: func(t *testing.T) string {
			return none(t, func() {
				a.Renew(t)
				a.Stands(t, func() { assert.Zero(t, a.refresh(t, 2)) })
			})
		}},
		scenario.Step{Name: "everything is synced once more", Do: func(t *testing.T) string {
			return none(t, func() {
				secrets := a.secrets(t)
				a.sync(t)
				assert.Equal(t, secrets, a.secrets(t), "nothing is pruned")
			})
		}},
		scenario.Step{Name: "upgrade in the same mode", Do: func(t *testing.T) string {
			return none(t, func() {
				rolled, bundles := a.Rolled(t), a.Bundles(t)
				a.change(t, scenario.Values(mode, scenario.Labelled("once")))
				assert.Equal(t, rolled, a.Rolled(t), "the controller's annotation survives")
				assert.Equal(t, bundles, a.Bundles(t))
			})
		}},
		scenario.Step{Name: "somebody changes a webhook, `selfHeal: true` changes it back", Do: func(t *testing.T) string {
			bundles := a.Bundles(t)
			a.Tamper(t)
			scenario.Await(t, "Argo CD changes it back", func() (bool, any) { return !a.Tampered(t), nil })
			a.awaitHealthy(t)
			assert.Equal(t, bundles, a.Bundles(t))
			return "1 corrected"
		}},
		scenario.Step{Name: "from " + mode + " mode", Do: func(t *testing.T) string {
			return none(t, func() {
				a.Mode = other
				a.change(t, scenario.Values(other))
			})
		}},
		scenario.Step{Name: "upgrade with `ServerSideApply=true`", Do: func(t *testing.T) string {
			return none(t, func() {
				rolled, bundles := a.Rolled(t), a.Bundles(t)
				a.options = []string{"ServerSideApply=true"}
				a.change(t, scenario.Values(other, scenario.Labelled("twice")))
				assert.Equal(t, rolled, a.Rolled(t), "the controller's annotation survives")
				assert.Equal(t, bundles, a.Bundles(t))
			})
		}},
		scenario.Step{Name: "`Replace=true`", Replaces: true, Do: func(t *testing.T) string {
			return none(t, func() {
				a.options = []string{"Replace=true"}
				a.change(t, scenario.Values(other, scenario.Labelled("twice"), scenario.Annotated("replaced")))
			})
		}},
	)
}

// secrets are the Secrets with certificates, and which ones they are.
func (a *application) secrets(t *testing.T) map[string]string {
	t.Helper()
	list, err := env.Client.CoreV1().Secrets(a.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "type=kubernetes.io/tls"})
	require.NoError(t, err)
	all := map[string]string{}
	for _, s := range list.Items {
		all[s.Name] = string(s.UID)
	}
	require.NotEmpty(t, all)
	return all
}

// waves installs with webhook configurations that Argo CD applies only when the pods are ready, whose init containers look for them.
func waves(t *testing.T, repository string) {
	a := newApplication(t, repository, charttest.Auto)
	wave := map[string]any{"argocd.argoproj.io/sync-wave": "1"}
	later := charttest.PerComponent(map[string]any{"webhook": map[string]any{"annotations": wave}})
	a.Run(t, scenario.Step{Name: "install, webhook configurations in a later wave", Do: func(t *testing.T) string {
		a.install(t, scenario.Values(charttest.Auto, later))
		return scenario.Count(a.refresh(t, 1), "objects")
	}})
}

// replaceWithoutController shows what the controller is for: nothing else puts the bundles back, until a pod starts. The option is set
// after the install, which Argo CD would replace with it: it makes each role twice then, fails at that, and syncs once more, at a time
// when the pods have put their CA into the bundles or not.
func replaceWithoutController(t *testing.T, repository string) {
	a := newApplication(t, repository, charttest.Auto)
	a.install(t, scenario.Values(charttest.Auto, scenario.WithoutController()))
	a.RequireAdmission(t, charttest.Entries)
	a.options = []string{"Replace=true"}
	a.change(t, scenario.Values(charttest.Auto, scenario.WithoutController(), scenario.Annotated("replaced")))
	for entry, bundle := range a.Bundles(t) {
		assert.Empty(t, bundle, entry)
	}
	assert.Zero(t, a.refresh(t, 1), "Argo CD sees nothing in it")
	for _, target := range a.Targets(t) {
		require.ErrorContains(t, target.Send(t.Context(), true), "x509", target.Entry)
	}
	a.Restart(t)
	a.RequireAdmission(t, charttest.Entries)
}
