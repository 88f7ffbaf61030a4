package argocd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// The names of Argo CD's programs.
const (
	repoServer = "argocd-repo-server"
	controller = "argocd-application-controller"
)

// settings is the ConfigMap with Argo CD's settings.
const settings = "argocd-cm"

// Argo CD's ways to know the objects of an Application: by a label, which was the default before version 3.0, or by an annotation.
const (
	byLabel      = "label"
	byAnnotation = "annotation"
)

// argoCD is an Argo CD on a cluster of its own.
type argoCD struct {
	scenario.Deployer
	// repository is the address of a git repository with the chart and Kthena's kinds.
	repository string
}

// kind is one of Argo CD's kinds.
func kind(name string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: name}
}

// start starts an Argo CD: a cluster, the definitions of its kinds, its settings, the project default, and its programs, which must have
// been built.
func start(t *testing.T) *argoCD {
	t.Helper()
	c := &argoCD{Deployer: scenario.Deployer{
		Name: "Argo CD 3.2", Namespace: "argocd", Asks: kind("Application"),
		Group: controlplane.ArgoCD, Programs: []string{repoServer, controller},
	}}
	dir := c.Start(t)
	env := c.Env
	clients, err := controlplane.Find(controlplane.Clients)
	require.NoError(t, err)
	c.configure(t)
	c.repository = c.commitChart(t)
	redis := miniredis.RunT(t)
	address, metrics := scenario.FreeAddress(t), scenario.FreeAddress(t)
	scratch := filepath.Join(env.Dir, "argocd")
	require.NoError(t, os.Mkdir(scratch, 0o700))
	program := filepath.Join(dir, "argocd")
	require.NoError(t, env.StartProgram(localcluster.Program{
		Name: repoServer, Path: program,
		Args: []string{
			repoServer, "--disable-tls", "--redis=" + redis.Addr(), "--loglevel=warn",
			"--address=" + host(t, address), "--port=" + port(t, address),
			"--metrics-address=" + host(t, metrics), "--metrics-port=" + port(t, metrics),
		},
		Env: []string{
			"PATH=" + clients + string(os.PathListSeparator) + os.Getenv("PATH"), "TMPDIR=" + scratch, "HOME=" + scratch,
			"ARGOCD_ASK_PASS_SOCK=" + filepath.Join(scratch, "ask-pass"), "ARGOCD_GPG_ENABLED=false", "ARGOCD_PLUGINSOCKFILEPATH=" + scratch,
			"ARGOCD_TLS_DATA_PATH=" + scratch, "ARGOCD_SSH_DATA_PATH=" + scratch,
		},
	}))
	require.NoError(t, env.StartProgram(localcluster.Program{
		Name: controller, Path: program,
		Args: []string{
			controller, "--namespace=" + c.Namespace, "--redis=" + redis.Addr(),
			"--repo-server=" + address, "--repo-server-plaintext",
			// It compares every two minutes by itself, and in between when it notices a change, which it does not always.
			"--app-resync=5", "--app-resync-jitter=0",
			// It listens on every interface, whatever it is told; the port is any.
			"--metrics-port=0", "--loglevel=warn",
		},
		// The cluster that an Application calls https://kubernetes.default.svc is that of KUBECONFIG.
		Env: []string{"ARGOCD_FAKE_IN_CLUSTER=true", "ARGOCD_CONTROLLER_REPLICAS=1", "TMPDIR=" + scratch, "HOME=" + scratch},
	}))
	return c
}

// configure makes what Argo CD's own installation brings besides programs.
func (c *argoCD) configure(t *testing.T) {
	t.Helper()
	ctx, options, core := t.Context(), metav1.CreateOptions{}, c.Env.Client.CoreV1()
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/part-of": "argocd"}}
	}
	_, err := core.ConfigMaps(c.Namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta(settings)}, options)
	require.NoError(t, err)
	secret := &corev1.Secret{ObjectMeta: meta("argocd-secret"), Data: map[string][]byte{"server.secretkey": []byte("any")}}
	_, err = core.Secrets(c.Namespace).Create(ctx, secret, options)
	require.NoError(t, err)
	all := []any{map[string]any{"group": "*", "kind": "*"}}
	c.Create(t, kind("AppProject"), "default", map[string]any{
		"sourceRepos": []any{"*"}, "destinations": []any{map[string]any{"server": "*", "namespace": "*"}}, "clusterResourceWhitelist": all,
	})
}

// track makes Argo CD know the objects of its Applications in another way.
func (c *argoCD) track(t *testing.T, method string) {
	t.Helper()
	client := c.Env.Client.CoreV1().ConfigMaps(c.Namespace)
	config, err := client.Get(t.Context(), settings, metav1.GetOptions{})
	require.NoError(t, err)
	config.Data = map[string]string{"application.resourceTrackingMethod": method}
	_, err = client.Update(t.Context(), config, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// commitChart makes a git repository that holds the chart where this one does, and Kthena's kinds, and returns its address.
func (c *argoCD) commitChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "charts", "kthena"), os.DirFS(c.Env.Chart())))
	c.writeCRDs(t, dir)
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"}, {"add", "."},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message=The chart"},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return "file://" + dir
}

func host(t *testing.T, address string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return host
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}
