package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// A chart that has ours as a dependency under another name, installed by Rancher's Fleet, which puts values of its own into each.
func TestTheChartWorksAsADependencyOfAnother(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "platform")
	require.NoError(t, os.CopyFS(filepath.Join(dir, "charts", "kthena"), os.DirFS(filepath.Join(env.Root, "charts", "kthena"))))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte(`
apiVersion: v2
name: platform
version: 1.0.0
dependencies:
  - name: kthena
    version: 0.1.0
    repository: file://../kthena
    alias: llm
    condition: llm.enabled
`), 0o600))
	values := map[string]any{
		"llm": map[string]any{"enabled": true, "networking": map[string]any{"kthenaRouter": map[string]any{"preStopSeconds": 5}}},
		"global": map[string]any{
			"storageClass": "fast",
			"cattle":       map[string]any{"clusterId": "c-m-abc", "systemDefaultRegistry": ""},
			"fleet":        map[string]any{"clusterLabels": map[string]any{"env": "prod"}},
		},
	}
	i := env.Prepare(t)
	_, err := i.Helm.Install(t.Context(), charttest.Release, dir, values, charttest.Wait)
	require.NoError(t, err)
	i.RequireNoRestarts(t)
	i.RequireAdmission(t, charttest.Entries)
}

// YAML takes such names for numbers.
func TestAReleaseAndANamespaceMayHaveNumbersForNames(t *testing.T) {
	const release = "1e3"
	i := env.PrepareIn(t, "12345")
	require.NoError(t, env.LetForward(t.Context(), i.Namespace, "kthena-verify"))
	values := map[string]any{"networking": map[string]any{"kthenaRouter": map[string]any{"preStopSeconds": 5}}}
	_, err := i.Helm.Install(t.Context(), release, env.Chart(), values, charttest.Wait)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, i.Helm.Uninstall(release, helm.ReleaseOptions{})) })
	// The API server may not have learnt yet what it has just stored.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var log strings.Builder
		assert.NoError(c, i.Helm.Test(release, &log, charttest.Wait), "%s", &log)
	}, 30*time.Second, time.Second)
}
