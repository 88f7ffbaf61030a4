// Package lifecycle installs the chart on a real API server and lets its certificates age, change and get lost under load:
// what is counted is admission requests that failed meanwhile.
package lifecycle

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/internal/helm"
	"github.com/volcano-sh/kthena-certgen/internal/localcluster"
	"github.com/volcano-sh/kthena-certgen/internal/probe"
	"github.com/volcano-sh/kthena-certgen/test/crds"
)

const (
	chartDir = "../../charts/kthena"
	release  = "kthena"
	replicas = 3
	// entries is the number of webhook entries of the whole chart.
	entries = 7
)

// certgen is the program, built by make build.
var certgen = filepath.Join("..", "..", "bin", "kthena-certgen")

// cluster is the cluster that the tests share. The names of webhook configurations belong to the whole cluster, so one
// release is there at a time and no test is parallel.
var cluster *localcluster.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	c, err := localcluster.Start(ctx, localcluster.Options{})
	if err != nil {
		return failed(err)
	}
	defer func() { _ = c.Stop() }()
	if err := crds.Install(ctx, c.Config); err != nil {
		return failed(err)
	}
	standin := filepath.Join("..", "..", "bin", "standin")
	if _, err = c.RunPods(ctx, localcluster.PodOptions{Images: localcluster.Images{
		"kthena-certgen": certgen, "kthena-controller-manager": standin, "kthena-router": standin,
	}}); err != nil {
		return failed(fmt.Errorf("%w (run make build first)", err))
	}
	cluster = c
	return m.Run()
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// component is what bootstrap is told of a subchart.
type component struct {
	deployment, subchart string
	configurations       []string // flags
}

var components = []component{
	{"kthena-registry", "registry", []string{"--mutating-webhook-configuration=kthena-registry-mutating-webhook", "--validating-webhook-configuration=kthena-registry-validating-webhook"}},
	{"kthena-workload", "workload", []string{"--validating-webhook-configuration=kthena-workload-validating-webhook"}},
	{"kthena-router", "networking", []string{"--validating-webhook-configuration=kthena-networking-validating-webhook"}},
}

// install installs the chart with three replicas of everything and waits until it is ready. The release goes away with
// the test. It returns the namespace.
func install(t *testing.T) string {
	t.Helper()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kthena-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	client, err := helm.New(cluster.Kubeconfig, ns.Name)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, client.Uninstall(release, helm.ReleaseOptions{}))
		assert.NoError(t, cluster.Client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), ns.Name, metav1.DeleteOptions{}))
	})
	n := map[string]any{"replicas": replicas}
	_, err = client.Install(t.Context(), release, chartDir, map[string]any{
		"registry": map[string]any{"controllerManager": n}, "workload": map[string]any{"controllerManager": n}, "networking": map[string]any{"kthenaRouter": n},
	}, helm.ReleaseOptions{Wait: true, Timeout: 2 * time.Minute})
	require.NoError(t, err)
	return ns.Name
}

// bootstrap runs the program as a person does from a machine of their own, without an output folder, and returns the line
// that it ends with.
func (c component) bootstrap(t *testing.T, namespace string, more ...string) string {
	t.Helper()
	service := c.subchart + "-webhook." + namespace + ".svc"
	args := append([]string{
		"bootstrap", "--kubeconfig", cluster.Kubeconfig, "--namespace", namespace, "--secret-name", c.subchart + "-webhook-certs-auto",
		"--dns-name", service, "--dns-name", service + ".cluster.local",
	}, c.configurations...)
	cmd := exec.CommandContext(t.Context(), certgen, append(args, more...)...)
	line, err := cmd.Output()
	require.NoError(t, err)
	return string(line)
}

// restart rolls every Deployment, as kubectl rollout restart does, and waits until it is over and the old pods have ended.
func restart(t *testing.T, namespace string) {
	t.Helper()
	deployments := cluster.Client.AppsV1().Deployments(namespace)
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339Nano))
	for _, c := range components {
		_, err := deployments.Patch(t.Context(), c.deployment, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-rollout"})
		require.NoError(t, err)
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		list, err := deployments.List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, d := range list.Items {
			s := d.Status
			assert.True(c, s.ObservedGeneration == d.Generation && s.UpdatedReplicas == replicas && s.AvailableReplicas == replicas && s.Replicas == replicas, "%s: %+v", d.Name, s)
		}
		pods, err := cluster.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		assert.Len(c, pods.Items, replicas*len(components), "old pods are still ending")
	}, 2*time.Minute, 100*time.Millisecond)
}

func targets(t *testing.T, namespace string) []probe.Target {
	t.Helper()
	all, err := probe.Targets(t.Context(), cluster.Config, release, namespace)
	require.NoError(t, err)
	require.Len(t, all, entries)
	return all
}

// assertNoneFailed asserts that no request failed, but for the few that met a connection being closed (see probe.Report): every
// rolling restart of every webhook server can meet that, with or without a renewal.
func assertNoneFailed(t *testing.T, report probe.Report) {
	t.Helper()
	t.Logf("%d requests in %s, %.0f a second, %d failed: %q", report.Sent, report.Duration.Round(100*time.Millisecond), float64(report.Sent)/report.Duration.Seconds(), report.Failed, report.Errors)
	assert.Positive(t, report.Sent)
	assert.Zero(t, report.Broken())
	assert.LessOrEqual(t, report.Closed, report.ClosedLimit())
}
