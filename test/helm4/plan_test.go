package helm4

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/plan"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/reader"
)

// What plan prints for a release that Helm 4 applies on the server is run as it is, by the helm command of Helm 4.
func TestWhatPlanPrintsSwitchesWithoutAGap(t *testing.T) {
	i := env.Prepare(t)
	shell := reader.New(t, env)
	shell.Prefer(buildHelm(t))
	require.Contains(t, shell.Run(t, "helm version --short"), "v4.")
	namespace := " --namespace " + i.Namespace
	shell.Run(t, "kthena-certgen generate --output-dir manual --subchart registry,workload,networking"+namespace)
	shell.Run(t, "kubectl apply --filename manual/secrets.yaml")
	values, err := json.Marshal(charttest.Merged(charttest.InMode(charttest.Auto, 1), map[string]any{
		"networking": map[string]any{"kthenaRouter": map[string]any{"preStopSeconds": 5}},
	}))
	require.NoError(t, err)
	shell.Write(t, "own.yaml", string(values))
	shell.Run(t, "helm install kthena charts/kthena --values own.yaml --wait"+namespace)

	from := charttest.Auto
	for _, to := range []string{charttest.Manual, charttest.Auto} {
		command := "kthena-certgen plan --output json --to " + to + namespace
		if to == charttest.Manual {
			command += " --values manual/values.yaml --ca-cert manual/ca.crt"
		}
		var found plan.Plan
		require.NoError(t, json.Unmarshal([]byte(shell.Run(t, command+" 2>/dev/null || test $? = 3")), &found))
		require.Empty(t, found.Refused)
		assert.Equal(t, []string{from, to}, []string{found.From, found.To})
		require.NotEmpty(t, found.Steps)
		p := i.Probe(t, probeRate)
		for _, s := range found.Steps {
			shell.Run(t, s.Command)
		}
		i.Settle(t)
		r := p.Stop()
		t.Logf("%s -> %s as planned, with Helm 4: %s", from, to, charttest.Figures(r))
		charttest.AssertNoneFailed(t, r)
		i.RequireAdmission(t, charttest.Entries)
		from = to
	}
}

// buildHelm builds the helm command of the version that this module requires, and returns its folder.
func buildHelm(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "helm"), "helm.sh/helm/v4/cmd/helm").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}
