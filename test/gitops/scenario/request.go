package scenario

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Ask makes the object that asks the deployer for the release.
func (r *Rig) Ask(t *testing.T, spec map[string]any, change ...func(*unstructured.Unstructured)) {
	t.Helper()
	r.Deployer.Create(t, r.Deployer.Asks, r.Object, spec, change...)
}

// Get reads the object.
func (r *Rig) Get(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	o, err := r.client.Get(t.Context(), r.Object, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// Update changes the object, which the deployer writes all the time.
func (r *Rig) Update(t *testing.T, change func(*unstructured.Unstructured)) {
	t.Helper()
	Await(t, r.Object+" is changed", func() (bool, any) {
		o := r.Get(t)
		change(o)
		_, err := r.client.Update(t.Context(), o, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			require.NoError(t, err)
		}
		return err == nil, err
	})
}

// Annotate gives the object an annotation, by which deployers are told to look at it at once.
func (r *Rig) Annotate(t *testing.T, annotation, value string) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, annotation, value)
	_, err := r.client.Patch(t.Context(), r.Object, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
}

// AwaitObject waits until the object says something.
func (r *Rig) AwaitObject(t *testing.T, what string, says func(*unstructured.Unstructured) bool) {
	t.Helper()
	Await(t, what, func() (bool, any) {
		o := r.Get(t)
		return says(o), o.Object["status"]
	})
}

// Text is a string in an object, empty where there is none.
func Text(o *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

// remove deletes the object, with which the deployer deletes all that it has made.
func (r *Rig) remove(t *testing.T) {
	if t.Failed() {
		r.explain(t)
	}
	ctx := context.WithoutCancel(t.Context())
	if err := r.client.Delete(ctx, r.Object, metav1.DeleteOptions{}); apierrors.IsNotFound(err) {
		return
	}
	Await(t, r.Deployer.Name+" has deleted everything", func() (bool, any) {
		r.hurry(ctx, t)
		o, err := r.client.Get(ctx, r.Object, metav1.GetOptions{})
		return apierrors.IsNotFound(err), o
	})
}

// hurry ends at once the pods that are to end: no more requests are sent.
func (r *Rig) hurry(ctx context.Context, t *testing.T) {
	pods := r.Env.Client.CoreV1().Pods(r.Namespace)
	list, err := pods.List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			continue
		}
		if err := pods.Delete(ctx, p.Name, *metav1.NewDeleteOptions(0)); !apierrors.IsNotFound(err) {
			require.NoError(t, err)
		}
	}
}
