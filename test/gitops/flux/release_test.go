package flux

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// release is a HelmRelease, by the name of its target namespace: Flux may still be busy with one that was deleted a moment ago.
type release struct {
	*scenario.Rig
	client dynamic.ResourceInterface
	// spec is what was asked for last.
	spec map[string]any
}

// newRelease prepares a HelmRelease that differs from the manual's in where its chart comes from and in a time-out that suits a test. It
// goes away with the test.
func newRelease(t *testing.T, mode string) *release {
	t.Helper()
	r := &release{Rig: scenario.New(t, env, deployer, mode), client: scenario.Dynamic(t, env).Resource(releases).Namespace(namespace)}
	r.spec = map[string]any{
		"interval": "1h", "timeout": "2m", "releaseName": charttest.Release, "targetNamespace": r.Namespace,
		"chart": map[string]any{"spec": map[string]any{
			"chart": "kthena", "version": "*", "sourceRef": map[string]any{"kind": "HelmRepository", "name": repository},
		}},
		"test":           map[string]any{"enable": true},
		"driftDetection": map[string]any{"mode": "enabled"},
	}
	t.Cleanup(func() { r.remove(t) })
	return r
}

// install makes the HelmRelease.
func (r *release) install(t *testing.T, values map[string]any) {
	t.Helper()
	r.spec["values"] = values
	_, err := r.client.Create(t.Context(), scenario.Object(t, releases, "HelmRelease", namespace, r.Namespace, r.spec), metav1.CreateOptions{})
	require.NoError(t, err)
	r.awaitReady(t)
}

// change brings the HelmRelease to other values, and to other settings beside them.
func (r *release) change(t *testing.T, values map[string]any, settings ...map[string]any) {
	t.Helper()
	r.update(t, values, settings...)
	r.awaitReady(t)
	r.Settle(t)
}

// update does the same and waits for nothing.
func (r *release) update(t *testing.T, values map[string]any, settings ...map[string]any) {
	t.Helper()
	delete(r.spec, "values")
	for _, s := range settings {
		r.spec = charttest.Merged(r.spec, s)
	}
	r.spec["values"] = values
	o := r.get(t)
	o.Object["spec"] = scenario.Plain(t, r.spec)
	_, err := r.client.Update(t.Context(), o, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// refresh asks Flux so many times to look at the release, as flux reconcile does, and waits until it has.
func (r *release) refresh(t *testing.T, times int) {
	t.Helper()
	for range times {
		now := time.Now().Format(time.RFC3339Nano)
		patch := fmt.Sprintf(`{"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": %q}}}`, now)
		_, err := r.client.Patch(t.Context(), r.Namespace, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
		r.await(t, "Flux looks at the release", func(o *unstructured.Unstructured) bool {
			handled, _, _ := unstructured.NestedString(o.Object, "status", "lastHandledReconcileAt")
			return handled == now && condition(o, "Ready") == metav1.ConditionTrue
		})
	}
}

func (r *release) get(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	o, err := r.client.Get(t.Context(), r.Namespace, metav1.GetOptions{})
	require.NoError(t, err)
	return o
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
	scenario.Await(t, what, func() (bool, any) {
		o := r.get(t)
		seen, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
		return seen == o.GetGeneration() && says(o), o.Object["status"]
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

// revision is the number of the release's last revision.
func (r *release) revision(t *testing.T) int64 {
	t.Helper()
	history, _, err := unstructured.NestedSlice(r.get(t).Object, "status", "history")
	require.NoError(t, err)
	require.NotEmpty(t, history)
	version, _, err := unstructured.NestedInt64(history[0].(map[string]any), "version")
	require.NoError(t, err)
	return version
}

// drift is how often Flux has told of drift so far.
func (r *release) drift(t *testing.T) int {
	t.Helper()
	list, err := env.Client.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=HelmRelease"})
	require.NoError(t, err)
	n := 0
	for _, e := range list.Items {
		if e.Reason == "DriftDetected" && e.InvolvedObject.Name == r.Namespace {
			n += max(1, int(e.Count))
		}
	}
	return n
}

// remove deletes the HelmRelease, which uninstalls the release.
func (r *release) remove(t *testing.T) {
	if t.Failed() {
		r.Explain(t, "source-controller", "helm-controller")
	}
	ctx := context.WithoutCancel(t.Context())
	if err := r.client.Delete(ctx, r.Namespace, metav1.DeleteOptions{}); apierrors.IsNotFound(err) {
		return
	}
	scenario.Await(t, "Flux has uninstalled the release", func() (bool, any) {
		o, err := r.client.Get(ctx, r.Namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), o
	})
}
