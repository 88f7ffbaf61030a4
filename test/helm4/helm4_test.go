package helm4

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

// probeRate is how many objects are sent in a second while a release changes.
const probeRate = 40

func TestTheChartUnderServerSideApply(t *testing.T) {
	i := env.Prepare(t)
	helm := newClient(t, env.Kubeconfig, i.Namespace)
	t.Cleanup(func() { assert.NoError(t, helm.uninstall(t)) })
	auto := charttest.InMode(charttest.Auto, 1)
	own := i.CreateOwnSecrets(t)
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"auto mode is installed", func(t *testing.T) {
			helm.install(t, env.Chart(), auto, true)
			i.RequireNoRestarts(t)
		}},
		{"an upgrade in the same mode keeps the bundles", func(t *testing.T) {
			before := bundles(i.Targets(t))
			p := i.Probe(t, probeRate)
			labelled := charttest.Merged(auto, charttest.PerComponent(map[string]any{"podLabels": map[string]any{"changed": "yes"}}))
			require.NoError(t, helm.upgrade(t, env.Chart(), labelled, false))
			charttest.AssertNoneFailed(t, p.Stop())
			assert.Equal(t, before, bundles(i.Targets(t)))
		}},
		{"an upgrade that drops an entry and adds another leaves no rest of it", func(t *testing.T) {
			before := bundles(i.Targets(t))
			require.NoError(t, helm.upgrade(t, withAnotherEntry(t), auto, false))
			i.RequireAdmission(t, charttest.Entries)
			after := bundles(i.Targets(t))
			require.NotContains(t, after, dropped)
			assert.Equal(t, before[dropped], after[added], "the new entry has the CA of its component")
			require.NoError(t, helm.upgrade(t, env.Chart(), auto, false))
		}},
		{"a switch to manual mode conflicts over the bundles", func(t *testing.T) {
			bundle := i.AddCA(t, own)
			before := bundles(i.Targets(t))
			err := helm.upgrade(t, env.Chart(), charttest.InManualMode(1, bundle), false)
			require.ErrorContains(t, err, `conflict with "kthena-certgen"`)
			require.ErrorContains(t, err, "clientConfig.caBundle")
			assert.Equal(t, before, bundles(i.Targets(t)))
			require.NoError(t, helm.upgrade(t, env.Chart(), auto, false))
		}},
		{"a switch to manual mode goes through once kthena-certgen has given up the bundles", func(t *testing.T) {
			p := i.Probe(t, probeRate)
			out, err := exec.CommandContext(
				t.Context(), env.Program("kthena-certgen"), "release", "--kubeconfig", env.Kubeconfig, "--namespace", i.Namespace, "--release",
				charttest.Release,
			).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.NoError(t, helm.upgrade(t, env.Chart(), charttest.InManualMode(1, i.AddCA(t, own)), false))
			charttest.AssertNoneFailed(t, p.Stop())
		}},
		{"a switch back to auto mode removes the bundles, and the new pods put theirs in", func(t *testing.T) {
			p := i.Probe(t, probeRate)
			require.NoError(t, helm.upgrade(t, env.Chart(), auto, false))
			i.RequireAdmission(t, charttest.Entries)
			r := p.Stop()
			t.Logf("the gap: %s: %q", charttest.Figures(r), r.Errors)
			assert.Positive(t, r.Failed, "if this is 0, say so in docs/switching-modes.md")
		}},
		{"a switch to manual mode that forces conflicts goes through", func(t *testing.T) {
			p := i.Probe(t, probeRate)
			require.NoError(t, helm.upgrade(t, env.Chart(), charttest.InManualMode(1, i.AddCA(t, own)), true))
			charttest.AssertNoneFailed(t, p.Stop())
		}},
		{"manual mode is left without a gap with the history put aside, by the client's side", func(t *testing.T) {
			p := i.Probe(t, probeRate)
			history := metav1.ListOptions{LabelSelector: "owner=helm,name=" + charttest.Release}
			require.NoError(t, env.Client.CoreV1().Secrets(i.Namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, history))
			helm.install(t, env.Chart(), auto, false)
			charttest.AssertNoneFailed(t, p.Stop())
		}},
		{"what a replace takes away the controller puts back, with the same pods", func(t *testing.T) {
			p := i.Probe(t, probeRate)
			annotated := charttest.PerComponent(map[string]any{"deploymentAnnotations": map[string]any{"changed": "yes"}})
			require.NoError(t, helm.replace(t, env.Chart(), charttest.Merged(auto, annotated)))
			i.RequireAdmission(t, charttest.Entries)
			r := p.Stop()
			t.Logf("healed: %s: %q", charttest.Figures(r), r.Errors)
			assert.LessOrEqual(t, r.LongestGap, 2*time.Second)
		}},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			step.do(t)
			i.RequireAdmission(t, charttest.Entries)
		})
		if !ok {
			return
		}
	}
}

// bundles are the CA bundles of entries, by the entries' names.
func bundles(targets []probe.Target) map[string]string {
	all := map[string]string{}
	for _, target := range targets {
		all[target.Entry] = string(target.CABundle)
	}
	return all
}

// The entry that withAnotherEntry drops, and the one that it adds.
const (
	dropped = "validate-autoscalingpolicy.workload.serving.volcano.sh"
	added   = "validate-scaling.workload.serving.volcano.sh"
)

// withAnotherEntry is a copy of the chart in which one entry has made room for another.
func withAnotherEntry(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "kthena")
	require.NoError(t, os.CopyFS(dir, os.DirFS(env.Chart())))
	path := filepath.Join(dir, "charts", "registry", "templates", "_webhooks.tpl")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(text, []byte(dropped)))
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte(dropped), []byte(added), 1), 0o600))
	return dir
}
