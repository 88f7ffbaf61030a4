package chart

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// clusterValues are those of a file in the chart's folder ci, by its name without the suffix.
func clusterValues(t *testing.T, name string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(env.Root, "charts", "kthena", "ci", name+"-values.yaml"))
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.UnmarshalStrict(content, &values))
	return values
}

// Of the files in ci, those for OpenShift and cert-manager have tests of their own; that for EKS wants the network of its nodes, which a
// namespace does not allow that enforces restricted.
func TestTheValuesForKindsOfClustersWork(t *testing.T) {
	names := []string{"gke-private"}
	if !testing.Short() {
		names = append(names, "aks", "air-gapped-rke2", "istio", "linkerd", "high-availability")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			// This cluster has nothing that gives a Service an address.
			within := map[string]any{"networking": map[string]any{"kthenaRouter": map[string]any{"service": map[string]any{"type": "ClusterIP"}}}}
			i := env.Install(t, charttest.Merged(clusterValues(t, name), within))
			i.RequireNoRestarts(t)
			i.RequireAdmission(t, charttest.Entries)
		})
	}
}
