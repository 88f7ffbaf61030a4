package controller

import (
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// controllerPods are the controller's pods.
func controllerPods(t *testing.T, i *charttest.Installation) []corev1.Pod {
	t.Helper()
	list, err := env.Client.CoreV1().Pods(i.Namespace).List(
		t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + deployment},
	)
	require.NoError(t, err)
	return list.Items
}

// metricsOf are the metrics of the one controller, as its pod serves them.
func metricsOf(t *testing.T, i *charttest.Installation) string {
	t.Helper()
	pods := controllerPods(t, i)
	require.Len(t, pods, 1)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return env.DialPod(ctx, pods[0].Status.PodIP, 8080)
	}}}
	answer, err := client.Get("http://pod/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

// usage is what a process has used.
type usage struct {
	rss int // bytes
	cpu time.Duration
}

// usageOf reads what the process of a pod has used until now, by proc(5).
func usageOf(t *testing.T, p corev1.Pod) usage {
	t.Helper()
	pid, ok := strings.CutPrefix(p.Status.ContainerStatuses[0].ContainerID, "process://")
	require.True(t, ok)
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	number := func(field int) int {
		n, err := strconv.Atoi(fields[field-3])
		require.NoError(t, err)
		return n
	}
	const ticks = 100 // a second, on every architecture that Go runs on
	return usage{rss: number(24) * os.Getpagesize(), cpu: time.Duration(number(14)+number(15)) * time.Second / ticks}
}

// versions are the resourceVersions of all that the controller may write.
func versions(t *testing.T, i *charttest.Installation) map[string]string {
	t.Helper()
	all := map[string]string{}
	secrets, err := env.Client.CoreV1().Secrets(i.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, o := range secrets.Items {
		all["Secret "+o.Name] = o.ResourceVersion
	}
	for _, name := range charttest.Deployments {
		all["Deployment "+name] = get(t, i, name).ResourceVersion
	}
	validating, err := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, o := range validating.Items {
		all["ValidatingWebhookConfiguration "+o.Name] = o.ResourceVersion
	}
	mutating, err := env.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, o := range mutating.Items {
		all["MutatingWebhookConfiguration "+o.Name] = o.ResourceVersion
	}
	return all
}

var idleFor = flag.Duration("idle", 2*time.Minute, "for how long nothing happens while the controller's cost is measured")

func TestTwoControllersMakeOneRollAndThenNothing(t *testing.T) {
	idle := *idleFor
	if testing.Short() {
		idle = 15 * time.Second
	}
	i := install(t, settings(map[string]any{"retireAfter": "3s"}))
	patch(t, i, deployment, `{"spec":{"replicas":2}}`)
	i.Settle(t)
	before := generations(t, i)
	p := i.Probe(t, 40)
	force(t, i, "registry")
	awaitServed(t, i, "registry-webhook", fingerprint(t, i, autoSecret("registry")), replicas)
	// A rolling update of the controller itself, in the middle of what it does.
	force(t, i, "workload")
	patch(t, i, deployment, `{"spec":{"template":{"metadata":{"annotations":{"restarted":"now"}}}}}`)
	awaitServed(t, i, "workload-webhook", fingerprint(t, i, autoSecret("workload")), replicas)
	i.Settle(t)
	charttest.AssertNoneBroken(t, p.Stop())
	before["kthena-registry"]++
	before["kthena-workload"]++
	require.Equal(t, before, generations(t, i), "at most one roll for each certificate, however many controllers")

	patch(t, i, deployment, `{"spec":{"replicas":1}}`)
	i.Settle(t)
	// The last that comes of a renewal: the CA before it is trusted no longer.
	require.Eventually(t, func() bool {
		for _, target := range i.Targets(t) {
			if trusted, _ := gen.ParseCertificates(target.CABundle); len(trusted) != 1 {
				return false
			}
		}
		return true
	}, patience, 250*time.Millisecond, "every entry trusts one CA")
	user := "system:serviceaccount:" + i.Namespace + ":" + deployment
	still := versions(t, i)
	pod := controllerPods(t, i)[0]
	requests := requestsOf(t, user)
	used, begun := usageOf(t, pod), time.Now()
	// What is measured is time in which nothing happens, so there is nothing to wait for.
	<-time.After(idle)
	after, took := usageOf(t, pod), time.Since(begun)
	assert.Equal(t, still, versions(t, i), "nothing is written when nothing changes")
	more := requestsOf(t, user) - requests
	perHour := float64(more) * float64(time.Hour) / float64(took)
	rss, cpu := float64(after.rss)/(1<<20), float64(after.cpu-used.cpu)*1000/float64(took)
	t.Logf("idle for %s: %.1f MiB of memory, %.2f mCPU, %.0f requests an hour besides watches", took.Round(time.Second), rss, cpu, perHour)
	if !testing.Short() {
		assert.LessOrEqual(t, rss, 24.0, "MiB of memory")
		assert.LessOrEqual(t, cpu, 2.0, "mCPU")
		assert.LessOrEqual(t, perHour, 60.0, "requests an hour")
	}
}

// requestsOf is the number of requests of a user besides watches, and besides the connections to pods, which on a cluster with a
// network of its own do not go through the API server.
func requestsOf(t *testing.T, user string) (n int) {
	t.Helper()
	requests, err := env.Requests(user)
	require.NoError(t, err)
	for _, r := range requests {
		if r.Verb != "watch" && r.Subresource != "portforward" {
			n++
		}
	}
	return n
}
