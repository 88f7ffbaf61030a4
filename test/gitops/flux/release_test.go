package flux

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// release is a HelmRelease, by the name of its target namespace: Flux may still be busy with one that was deleted a moment ago.
type release struct {
	*scenario.Rig
	// spec is what is asked for, without values.
	spec map[string]any
}

// newRelease prepares a HelmRelease that differs from the manual's in where its chart comes from and in a time-out that suits a test. It
// goes away with the test.
func newRelease(t *testing.T, d *scenario.Deployer, mode string) *release {
	t.Helper()
	r := &release{Rig: scenario.New(t, d, mode)}
	r.Object = r.Namespace
	r.spec = map[string]any{
		"interval": "1h", "timeout": "2m", "releaseName": charttest.Release, "targetNamespace": r.Namespace,
		"chart": map[string]any{"spec": map[string]any{
			"chart": "kthena", "version": "*", "sourceRef": map[string]any{"kind": "HelmRepository", "name": repository},
		}},
		"test":           map[string]any{"enable": true},
		"driftDetection": map[string]any{"mode": "enabled"},
	}
	return r
}

// with is a step that begins with other settings of the HelmRelease.
func (r *release) with(settings map[string]any, s scenario.Step) scenario.Step {
	return s.After(func() { r.set(settings) })
}

// set changes settings of the HelmRelease, which are asked for with the next values.
func (r *release) set(settings map[string]any) { r.spec = charttest.Merged(r.spec, settings) }

// specified is what is asked for with values.
func (r *release) specified(values map[string]any) map[string]any {
	return charttest.Merged(r.spec, map[string]any{"values": values})
}

// Deploy makes the HelmRelease.
func (r *release) Deploy(t *testing.T, values map[string]any) {
	t.Helper()
	r.Ask(t, r.specified(values))
	r.awaitReady(t)
	require.Equal(t, "1", r.Applied(t), "no upgrade")
}

// Change brings the HelmRelease to other values.
func (r *release) Change(t *testing.T, values map[string]any) {
	t.Helper()
	r.request(t, values)
	r.awaitReady(t)
	r.Settle(t)
}

// request does the same and waits for nothing.
func (r *release) request(t *testing.T, values map[string]any) {
	t.Helper()
	r.Update(t, func(o *unstructured.Unstructured) { o.Object["spec"] = scenario.Plain(t, r.specified(values)) })
}

// Compare asks Flux so many times to look at the release, as flux reconcile does, and waits until it has.
func (r *release) Compare(t *testing.T, times int) {
	t.Helper()
	for range times {
		now := time.Now().Format(time.RFC3339Nano)
		r.Annotate(t, "reconcile.fluxcd.io/requestedAt", now)
		r.await(t, "Flux looks at the release", func(o *unstructured.Unstructured) bool {
			return scenario.Text(o, "status", "lastHandledReconcileAt") == now && condition(o, "Ready") == metav1.ConditionTrue
		})
	}
}

// Drift does not compare: whatever is a difference to Flux is one that it has told of, and corrected.
func (r *release) Drift(t *testing.T, do func()) string {
	t.Helper()
	before := r.told(t)
	do()
	return scenario.Count(r.told(t)-before, "corrected")
}

// told is how often Flux has told of drift so far.
func (r *release) told(t *testing.T) int {
	t.Helper()
	list, err := r.Env.Client.CoreV1().Events(r.Deployer.Namespace).List(
		t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=HelmRelease"},
	)
	require.NoError(t, err)
	n := 0
	for _, e := range list.Items {
		if e.Reason == "DriftDetected" && e.InvolvedObject.Name == r.Object {
			n += max(1, int(e.Count))
		}
	}
	return n
}

// Correct has Flux look at the release, which is when it corrects.
func (r *release) Correct(t *testing.T) string {
	t.Helper()
	return r.Drift(t, func() { r.Compare(t, 1) })
}

// Applied is the number of the release's last revision.
func (r *release) Applied(t *testing.T) string {
	t.Helper()
	history, _, err := unstructured.NestedSlice(r.Get(t).Object, "status", "history")
	require.NoError(t, err)
	require.NotEmpty(t, history)
	version, _, err := unstructured.NestedInt64(history[0].(map[string]any), "version")
	require.NoError(t, err)
	return strconv.FormatInt(version, 10)
}

// awaitReady waits until Flux says that what was asked for last is there.
func (r *release) awaitReady(t *testing.T) {
	t.Helper()
	r.await(t, "the release is ready", func(o *unstructured.Unstructured) bool {
		require.NotEqual(t, metav1.ConditionTrue, condition(o, "Stalled"), "%v", o.Object["status"])
		return condition(o, "Ready") == metav1.ConditionTrue
	})
}

// await waits until Flux has seen the last change of the HelmRelease and says something of it.
func (r *release) await(t *testing.T, what string, says func(*unstructured.Unstructured) bool) {
	t.Helper()
	r.AwaitObject(t, what, func(o *unstructured.Unstructured) bool {
		seen, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
		return seen == o.GetGeneration() && says(o)
	})
}

// is says whether a condition has a status.
func is(kind string, status metav1.ConditionStatus) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool { return condition(o, kind) == status }
}

// condition is the status of one of the HelmRelease's conditions, of its last generation.
func condition(o *unstructured.Unstructured, kind string) metav1.ConditionStatus {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		c, _ := c.(map[string]any)
		if c["type"] == kind && c["observedGeneration"] == o.GetGeneration() {
			status, _ := c["status"].(string)
			return metav1.ConditionStatus(status)
		}
	}
	return metav1.ConditionUnknown
}
