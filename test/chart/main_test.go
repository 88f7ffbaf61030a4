// Package chart installs the chart on a real API server, runs its pods and watches what users would: that it becomes
// ready without a restart, that every webhook entry admits and refuses, and that no admission request fails meanwhile.
package chart

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/helm"
	"github.com/volcano-sh/kthena-certgen/internal/localcluster"
	"github.com/volcano-sh/kthena-certgen/internal/probe"
	"github.com/volcano-sh/kthena-certgen/test/crds"
)

const (
	chartDir = "../../charts/kthena"
	release  = "kthena"
)

// volumeDelay is short so that a test of renewal does not take minutes. Kthena's servers load their files once, so nothing else
// depends on it.
const volumeDelay = time.Second

// The cluster and its pods, shared by the tests of this package. The names of webhook configurations belong to the whole
// cluster, so one release is there at a time and no test is parallel.
var (
	cluster *localcluster.Cluster
	kubelet *localcluster.Kubelet
)

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
	if err := c.StartCertManager(ctx); err != nil {
		return failed(err)
	}
	standin := filepath.Join("..", "..", "bin", "standin")
	k, err := c.RunPods(ctx, localcluster.PodOptions{Images: localcluster.Images{
		"kthena-certgen": filepath.Join("..", "..", "bin", "kthena-certgen"), "kthena-controller-manager": standin, "kthena-router": standin,
	}, VolumeDelay: volumeDelay})
	if err != nil {
		return failed(fmt.Errorf("%w (run make build first)", err))
	}
	cluster, kubelet = c, k
	return m.Run()
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// installation is a release in a namespace of its own that enforces the Pod Security Standard restricted.
type installation struct {
	helm      *helm.Client
	namespace string
}

// install installs the chart and waits until it is ready. The release goes away with the test.
func install(t *testing.T, values map[string]any) *installation {
	t.Helper()
	i := prepare(t)
	i.install(t, values)
	return i
}

// prepare makes the namespace of a release, which goes away with the test.
func prepare(t *testing.T) *installation {
	t.Helper()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "kthena-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	client, err := helm.New(cluster.Kubeconfig, ns.Name)
	require.NoError(t, err)
	i := &installation{client, ns.Name}
	t.Cleanup(func() { i.uninstall(t) })
	return i
}

// install installs the chart and waits until it is ready.
func (i *installation) install(t *testing.T, values map[string]any) {
	t.Helper()
	_, err := i.helm.Install(t.Context(), release, chartDir, values, wait)
	require.NoError(t, err)
}

var wait = helm.ReleaseOptions{Wait: true, Timeout: 2 * time.Minute}

// uninstall removes the release, if it is still there, and the namespace. What belongs to the whole cluster is gone then,
// so that the next test can begin; the pods end in their own time.
func (i *installation) uninstall(t *testing.T) {
	if err := i.helm.Uninstall(release, helm.ReleaseOptions{}); err != nil {
		t.Logf("uninstalling: %v", err)
	}
	assert.NoError(t, cluster.Client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), i.namespace, metav1.DeleteOptions{}))
}

// replicas are values that set the number of replicas of every component.
func replicas(n int) map[string]any {
	return map[string]any{
		"registry":   map[string]any{"controllerManager": map[string]any{"replicas": n}},
		"workload":   map[string]any{"controllerManager": map[string]any{"replicas": n}},
		"networking": map[string]any{"kthenaRouter": map[string]any{"replicas": n}},
	}
}

// pods returns the release's pods that are not about to go, by component.
func (i *installation) pods(t *testing.T) map[string][]corev1.Pod {
	t.Helper()
	list, err := cluster.Client.CoreV1().Pods(i.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release})
	require.NoError(t, err)
	pods := map[string][]corev1.Pod{}
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			component := p.Labels["app.kubernetes.io/component"]
			pods[component] = append(pods[component], p)
		}
	}
	return pods
}

func (i *installation) requireNoRestarts(t *testing.T) {
	t.Helper()
	for _, pods := range i.pods(t) {
		for _, p := range pods {
			for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
				require.Zero(t, c.RestartCount, "container %s of pod %s", c.Name, p.Name)
			}
		}
	}
}

func (i *installation) targets(t *testing.T) []probe.Target {
	t.Helper()
	targets, err := probe.Targets(t.Context(), cluster.Config, release, i.namespace)
	require.NoError(t, err)
	return targets
}

// settling is how long the API server may take to learn of a webhook configuration that it has just stored: admission reads
// from a cache, which lags on a busy machine.
const settling = 10 * time.Second

// requireAdmission sends a valid and an invalid object to each webhook entry, of which there must be n.
func (i *installation) requireAdmission(t *testing.T, n int) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets := i.targets(t)
		require.Len(c, targets, n)
		for _, target := range targets {
			assert.NoError(c, target.Send(t.Context(), true))
			assert.NoError(c, target.Send(t.Context(), false))
		}
	}, settling, 50*time.Millisecond)
}

// certgenLogs returns what the init containers of the pods that are there have printed.
func (i *installation) certgenLogs(t *testing.T, component string) []string {
	t.Helper()
	var logs []string
	for _, p := range i.pods(t)[component] {
		log, err := kubelet.Logs(i.namespace, p.Name, "certgen")
		require.NoError(t, err)
		logs = append(logs, string(log))
	}
	return logs
}

func components(pods map[string][]corev1.Pod) []string { return slices.Sorted(maps.Keys(pods)) }
