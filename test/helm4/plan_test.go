package helm4

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/reader"
)

// What plan prints for a release that Helm 4 applies on the server is run as it is, by the helm command of Helm 4.
func TestWhatPlanPrintsSwitchesWithoutAGap(t *testing.T) {
	i := env.Prepare(t)
	p := reader.Planner{Reader: reader.New(t, env), Installation: i}
	p.Prefer(buildHelm(t))
	require.Contains(t, p.Run(t, "helm version --short"), "v4.")
	p.Generate(t, "registry,workload,networking")
	p.Run(t, "kubectl apply --filename manual/secrets.yaml")
	values, err := json.Marshal(charttest.Merged(charttest.InMode(charttest.Auto, 1), map[string]any{
		"networking": map[string]any{"kthenaRouter": map[string]any{"preStopSeconds": 5}},
	}))
	require.NoError(t, err)
	p.Write(t, "own.yaml", string(values))
	p.Run(t, "helm install kthena charts/kthena --values own.yaml --wait --namespace "+i.Namespace)
	p.Switch(t, probeRate, charttest.Entries)
}

// buildHelm builds the helm command of the version that this module requires, and returns its folder.
func buildHelm(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "helm"), "helm.sh/helm/v4/cmd/helm").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}
