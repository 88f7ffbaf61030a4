package charttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

// Release is the name of every release.
const Release = "kthena"

// Deployments are the names of the chart's Deployments, which are the values of the label app.kubernetes.io/component, too.
var Deployments = []string{"kthena-registry", "kthena-router", "kthena-workload"}

// Entries is the number of webhook entries of the whole chart.
const Entries = 7

// Wait are options of a change that ends when everything is ready.
var Wait = helm.ReleaseOptions{Wait: true, Timeout: 2 * time.Minute}

// brief lets the router's pods end as soon as the others: the five minutes that it gives its requests are nothing that a test waits for.
var brief = map[string]any{"networking": map[string]any{"kthenaRouter": map[string]any{"preStopSeconds": 5}}}

// settling is how long the API server may take to learn of a webhook configuration that it has just stored: admission reads
// from a cache, which lags on a busy machine.
const settling = 10 * time.Second

// Installation is a release in a namespace of its own that enforces the Pod Security Standard restricted.
type Installation struct {
	Helm      *helm.Client
	Namespace string

	env *Environment
}

// Install installs the chart and waits until it is ready. The release goes away with the test.
func (e *Environment) Install(t testing.TB, values map[string]any) *Installation {
	t.Helper()
	i := e.Prepare(t)
	i.Install(t, values)
	return i
}

// Prepare makes the namespace of a release, which goes away with the test.
func (e *Environment) Prepare(t testing.TB) *Installation {
	t.Helper()
	return e.prepare(t, metav1.ObjectMeta{GenerateName: "kthena-"})
}

// PrepareIn does the same with a namespace of that name, which must not exist.
func (e *Environment) PrepareIn(t *testing.T, namespace string) *Installation {
	t.Helper()
	return e.prepare(t, metav1.ObjectMeta{Name: namespace})
}

func (e *Environment) prepare(t testing.TB, meta metav1.ObjectMeta) *Installation {
	t.Helper()
	meta.Labels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	ns, err := e.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{})
	require.NoError(t, err)
	e.letForward(t, ns.Name)
	client, err := helm.New(e.Kubeconfig, ns.Name)
	require.NoError(t, err)
	i := &Installation{Helm: client, Namespace: ns.Name, env: e}
	t.Cleanup(func() { i.remove(t) })
	return i
}

// letForward gives the controller a right beyond those of the chart; see localcluster.LetForward.
func (e *Environment) letForward(t testing.TB, namespace string) {
	t.Helper()
	if e.Kubelet == nil {
		return // a real one, whose controller is a pod
	}
	require.NoError(t, e.LetForward(t.Context(), namespace, "kthena-certgen"))
}

// remove removes the release, if it is still there, and the namespace. What belongs to the whole cluster is gone then, so
// that the next test can begin; the pods end in their own time.
func (i *Installation) remove(t testing.TB) {
	if err := i.Helm.Uninstall(Release, helm.ReleaseOptions{}); err != nil {
		t.Logf("uninstalling: %v", err)
	}
	assert.NoError(t, i.env.Client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), i.Namespace, metav1.DeleteOptions{}))
}

// Install installs the chart and waits until it is ready.
func (i *Installation) Install(t testing.TB, values map[string]any) {
	t.Helper()
	_, err := i.Helm.Install(t.Context(), Release, i.env.Chart(), Merged(brief, values), Wait)
	require.NoError(t, err)
}

// Upgrade brings the release to other values and waits until it is ready.
func (i *Installation) Upgrade(t testing.TB, values map[string]any) {
	t.Helper()
	_, err := i.Helm.Upgrade(t.Context(), Release, i.env.Chart(), Merged(brief, values), Wait)
	require.NoError(t, err)
}

// Rollback brings a revision back and waits until it is ready. Revision 0 is the one before the current.
func (i *Installation) Rollback(t *testing.T, revision int) {
	t.Helper()
	_, err := i.Helm.Rollback(Release, revision, Wait)
	require.NoError(t, err)
}

// Restart does what kubectl rollout restart does to every Deployment, and waits until the old pods have ended.
func (i *Installation) Restart(t *testing.T) {
	t.Helper()
	client := i.env.Client
	patch := fmt.Sprintf(
		`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339Nano),
	)
	deployments := client.AppsV1().Deployments(i.Namespace)
	list, err := deployments.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, d := range list.Items {
		_, err := deployments.Patch(
			t.Context(), d.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-rollout"},
		)
		require.NoError(t, err)
	}
	i.Settle(t)
}

// Settle waits until every Deployment has the pods that it asks for, ready and of its last version, and all others have ended.
func (i *Installation) Settle(t testing.TB) {
	t.Helper()
	client := i.env.Client
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		list, err := client.AppsV1().Deployments(i.Namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		pods := 0
		for _, d := range list.Items {
			pods += int(*d.Spec.Replicas)
			s := d.Status
			assert.True(
				c,
				s.ObservedGeneration == d.Generation && s.UpdatedReplicas == *d.Spec.Replicas && s.AvailableReplicas == s.UpdatedReplicas &&
					s.Replicas == s.UpdatedReplicas,
				"%s: %+v", d.Name, s,
			)
		}
		// The pod of helm test stays, after its end.
		left, err := client.CoreV1().Pods(i.Namespace).List(
			t.Context(), metav1.ListOptions{FieldSelector: "status.phase!=Succeeded,status.phase!=Failed"},
		)
		require.NoError(c, err)
		assert.Len(c, left.Items, pods, "old pods are still ending")
	}, Wait.Timeout, 100*time.Millisecond)
}

// Pods returns the pods of the components by Deployment, without those that are being deleted.
func (i *Installation) Pods(t *testing.T) map[string][]corev1.Pod {
	t.Helper()
	pods := i.AllPods(t)
	maps.DeleteFunc(pods, func(component string, _ []corev1.Pod) bool { return !slices.Contains(Deployments, component) })
	return pods
}

// AllPods returns the pods of the release by component, the controller's too, without those that are being deleted.
func (i *Installation) AllPods(t *testing.T) map[string][]corev1.Pod {
	t.Helper()
	list, err := i.env.Client.CoreV1().Pods(i.Namespace).List(
		t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + Release},
	)
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

// CertgenLogs returns what the init containers of a Deployment's pods that are there have printed.
func (i *Installation) CertgenLogs(t *testing.T, deployment string) []string {
	t.Helper()
	var logs []string
	for _, p := range i.Pods(t)[deployment] {
		log, err := i.env.Kubelet.Logs(i.Namespace, p.Name, "certgen")
		require.NoError(t, err)
		logs = append(logs, string(log))
	}
	return logs
}

// RequireNoRestarts requires that no container of the release has been restarted.
func (i *Installation) RequireNoRestarts(t *testing.T) {
	t.Helper()
	for _, pods := range i.AllPods(t) {
		for _, p := range pods {
			for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
				require.Zero(t, c.RestartCount, "container %s of pod %s", c.Name, p.Name)
			}
		}
	}
}

// Targets returns the release's webhook entries.
func (i *Installation) Targets(t testing.TB) []probe.Target {
	t.Helper()
	targets, err := probe.Targets(t.Context(), i.env.Config, Release, i.Namespace)
	require.NoError(t, err)
	return targets
}

// AssertTrustKept asserts that every entry that was there before still is, and trusts all CAs that it trusted then: a pod that serves one
// of their certificates may still be there, or come back with a rollback.
func (i *Installation) AssertTrustKept(t *testing.T, before []probe.Target) {
	t.Helper()
	now := map[string]gen.CASet{}
	for _, target := range i.Targets(t) {
		now[target.Entry], _ = gen.ParseCertificates(target.CABundle)
	}
	for _, target := range before {
		set := now[target.Entry]
		trusted, _ := gen.ParseCertificates(target.CABundle)
		assert.True(
			t, set.ContainsAll(trusted, time.Now()), "%s trusts %d CAs now, which lack some of the %d before", target.Entry, len(set), len(trusted),
		)
	}
}

// RequireAdmission sends a valid and an invalid object to each webhook entry, of which there must be n.
func (i *Installation) RequireAdmission(t testing.TB, n int) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets := i.Targets(t)
		require.Len(c, targets, n)
		for _, target := range targets {
			assert.NoError(c, target.Send(t.Context(), true))
			assert.NoError(c, target.Send(t.Context(), false))
		}
	}, settling, 50*time.Millisecond)
}

// Probe begins to send requests to every webhook entry, so many a second, once each has answered. Helm's --wait ends when the
// pods are ready, and it may take the endpoints controller a second more to lead a new Service to them: it backs off that long
// when it meets its own last write late.
func (i *Installation) Probe(t testing.TB, rate int) *probe.Probe {
	t.Helper()
	i.RequireAdmission(t, len(i.Targets(t)))
	return probe.Start(t.Context(), i.Targets(t), rate)
}

// AssertNoneBroken asserts that requests were sent and none failed, but for the few that met a connection being closed (see
// probe.Report.Broken): every rolling restart of every webhook server can meet that, whatever its certificate.
func AssertNoneBroken(t *testing.T, r probe.Report) {
	t.Helper()
	t.Logf("%s: %q", Figures(r), r.Errors)
	assert.Positive(t, r.Sent)
	assert.Zero(t, r.Broken(), "%q", r.Errors)
	assert.LessOrEqual(t, r.Closed, r.ClosedLimit(), "%q", r.Errors)
}

// AssertNoneFailed asserts that requests were sent and none failed, whatever the reason.
func AssertNoneFailed(t *testing.T, r probe.Report) {
	t.Helper()
	AssertNoneBroken(t, r)
	assert.Zero(t, r.Failed, "%q", r.Errors)
}

// Figures is a report as part of a line.
func Figures(r probe.Report) string {
	return fmt.Sprintf("%4d sent in %s, %.0f a second, %d failed, %d of them closed, longest gap %s",
		r.Sent, r.Duration.Round(100*time.Millisecond), float64(r.Sent)/r.Duration.Seconds(), r.Failed, r.Closed,
		r.LongestGap.Round(10*time.Millisecond))
}
