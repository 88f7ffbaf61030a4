package flux

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// repository is the name of the source of charts.
const repository = "charts"

// start starts a Flux: a cluster, the definitions of its kinds and its two controllers, which must have been built.
func start(t *testing.T) *scenario.Deployer {
	t.Helper()
	d := &scenario.Deployer{
		Name: "Flux 2.7", Namespace: "flux-system",
		Asks:  schema.GroupVersionKind{Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: "HelmRelease"},
		Group: controlplane.Flux, Programs: []string{"source-controller", "helm-controller"},
	}
	dir := d.Start(t)
	env := d.Env
	address, storage := scenario.FreeAddress(t), filepath.Join(env.Dir, "flux-storage")
	require.NoError(t, os.Mkdir(storage, 0o700))
	// No metrics and no health: their default ports belong to the whole machine. The limit on requests must not make a small machine slower
	// than a cluster.
	common := []string{"--metrics-addr=0", "--health-addr=0", "--kube-api-qps=500", "--kube-api-burst=1000"}
	for name, args := range map[string][]string{
		"source-controller": {"--storage-path=" + storage, "--storage-addr=" + address, "--storage-adv-addr=" + address},
		"helm-controller":   {"--graceful-shutdown-timeout=10s"},
	} {
		require.NoError(t, env.StartProgram(localcluster.Program{
			Name: name, Path: filepath.Join(dir, name), Args: append(args, common...), Env: []string{"RUNTIME_NAMESPACE=" + d.Namespace},
		}))
	}
	serveCharts(t, d)
	return d
}

// serveCharts serves the chart's package as a repository, which Flux gets to know.
func serveCharts(t *testing.T, d *scenario.Deployer) {
	t.Helper()
	dir := t.TempDir()
	_, err := helm.Package(d.Env.Chart(), dir)
	require.NoError(t, err)
	require.NoError(t, helm.Index(dir))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	source := schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "HelmRepository"}
	d.Create(t, source, repository, map[string]any{"interval": "1h", "url": server.URL})
}
