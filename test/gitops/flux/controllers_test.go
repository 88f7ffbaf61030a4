package flux

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

const (
	// deployer is how the manual calls what is tested here.
	deployer = "Flux 2.7"
	// namespace is that of Flux' own objects, as everywhere.
	namespace = "flux-system"
	// repository is the name of the source of charts.
	repository = "charts"
)

var (
	releases     = schema.GroupVersionResource{Group: "helm.toolkit.fluxcd.io", Version: "v2", Resource: "helmreleases"}
	repositories = schema.GroupVersionResource{Group: "source.toolkit.fluxcd.io", Version: "v1", Resource: "helmrepositories"}
)

// startFlux adds Flux to the cluster: the definitions of its kinds and its two controllers, which must have been built.
func startFlux(t *testing.T) {
	t.Helper()
	dir, err := controlplane.Find(controlplane.Flux)
	require.NoError(t, err)
	_, err = envtest.InstallCRDs(env.Config, envtest.CRDInstallOptions{Paths: []string{filepath.Join(dir, "crds")}, ErrorIfPathMissing: true})
	require.NoError(t, err)
	meta := metav1.ObjectMeta{Name: namespace}
	_, err = env.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{})
	require.NoError(t, err)
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
			Name: name, Path: filepath.Join(dir, name), Args: append(args, common...), Env: []string{"RUNTIME_NAMESPACE=" + namespace},
		}))
	}
}

// serveCharts serves the chart's package as a repository, which Flux gets to know.
func serveCharts(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	_, err := helm.Package(env.Chart(), dir)
	require.NoError(t, err)
	require.NoError(t, helm.Index(dir))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	source := scenario.Object(t, repositories, "HelmRepository", namespace, repository, map[string]any{"interval": "1h", "url": server.URL})
	_, err = scenario.Dynamic(t, env).Resource(repositories).Namespace(namespace).Create(t.Context(), source, metav1.CreateOptions{})
	require.NoError(t, err)
}
