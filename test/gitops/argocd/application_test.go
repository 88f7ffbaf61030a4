package argocd

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// application is an Application.
type application struct {
	*scenario.Rig
	client     dynamic.ResourceInterface
	repository string
	// options are its sync options besides those of the manual.
	options []string
	// withCRDs says that Kthena's kinds are a source of their own.
	withCRDs bool
}

// newApplication prepares an Application that differs from the manual's in where its chart comes from. It goes away with the test.
func newApplication(t *testing.T, repository, mode string, options ...string) *application {
	t.Helper()
	a := &application{Rig: scenario.New(t, env, deployer, mode), repository: repository, options: options}
	a.client = scenario.Dynamic(t, env).Resource(applications).Namespace(namespace)
	t.Cleanup(func() { a.remove(t) })
	return a
}

// spec is the manual's, with values.
func (a *application) spec(values map[string]any) map[string]any {
	chart := map[string]any{
		"repoURL": a.repository, "targetRevision": "main", "path": "charts/kthena", "helm": map[string]any{"valuesObject": values},
	}
	spec := map[string]any{
		"project":     "default",
		"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": a.Namespace},
		"syncPolicy": map[string]any{
			"automated":   map[string]any{"prune": true, "selfHeal": true},
			"syncOptions": append([]string{"CreateNamespace=true"}, a.options...),
		},
	}
	if a.withCRDs {
		spec["sources"] = []any{map[string]any{"repoURL": a.repository, "targetRevision": "main", "path": crdsFolder}, chart}
	} else {
		spec["source"] = chart
	}
	return spec
}

// install makes the Application, which deletes its objects when it is deleted.
func (a *application) install(t *testing.T, values map[string]any) {
	t.Helper()
	o := scenario.Object(t, applications, "Application", namespace, charttest.Release, a.spec(values))
	o.SetFinalizers([]string{"resources-finalizer.argocd.argoproj.io/foreground"})
	_, err := a.client.Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
	a.awaitHealthy(t)
}

// change brings the Application to other values.
func (a *application) change(t *testing.T, values map[string]any) {
	t.Helper()
	a.update(t, func(o *unstructured.Unstructured) { o.Object["spec"] = scenario.Plain(t, a.spec(values)) })
	a.awaitHealthy(t)
	a.Settle(t)
}

// sync applies everything once more, changed or not, as argocd app sync does.
func (a *application) sync(t *testing.T) {
	t.Helper()
	before := a.started(t)
	a.update(t, func(o *unstructured.Unstructured) {
		options := make([]any, len(a.options))
		for i, option := range a.options {
			options[i] = option
		}
		o.Object["operation"] = map[string]any{
			"sync": map[string]any{"prune": true, "syncOptions": options}, "initiatedBy": map[string]any{"username": "test"},
		}
	})
	a.await(t, "a sync begins", func(*unstructured.Unstructured) bool { return a.started(t) != before })
	a.awaitHealthy(t)
}

// update changes the Application, which Argo CD writes all the time.
func (a *application) update(t *testing.T, change func(*unstructured.Unstructured)) {
	t.Helper()
	scenario.Await(t, "the Application is changed", func() (bool, any) {
		o := a.get(t)
		change(o)
		_, err := a.client.Update(t.Context(), o, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			require.NoError(t, err)
		}
		return err == nil, err
	})
}

// refresh asks Argo CD so many times to render and compare anew, as a hard refresh does, and returns how many objects it took
// for different from what it renders, at most.
func (a *application) refresh(t *testing.T, times int) (different int) {
	t.Helper()
	const annotation = "argocd.argoproj.io/refresh"
	patch := []byte(`{"metadata": {"annotations": {"` + annotation + `": "hard"}}}`)
	for range times {
		_, err := a.client.Patch(t.Context(), charttest.Release, types.MergePatchType, patch, metav1.PatchOptions{})
		require.NoError(t, err)
		a.await(t, "Argo CD compares", func(o *unstructured.Unstructured) bool { return o.GetAnnotations()[annotation] == "" })
		different = max(different, a.different(t))
	}
	return different
}

// different is how many objects of the Application are not as Argo CD renders them, or not rendered at all.
func (a *application) different(t *testing.T) (n int) {
	t.Helper()
	resources, _, err := unstructured.NestedSlice(a.get(t).Object, "status", "resources")
	require.NoError(t, err)
	for _, r := range resources {
		if r := r.(map[string]any); r["status"] != "Synced" {
			t.Logf("different: %v %v/%v: %v", r["kind"], r["namespace"], r["name"], r["status"])
			n++
		}
	}
	return n
}

// started says when the last sync began.
func (a *application) started(t *testing.T) string {
	t.Helper()
	o := a.get(t)
	by := text(o, "status", "operationState", "operation", "initiatedBy", "username")
	return text(o, "status", "operationState", "startedAt") + by
}

func (a *application) get(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	o, err := a.client.Get(t.Context(), charttest.Release, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// awaitHealthy waits until Argo CD has applied what was asked for last, and says Synced and Healthy.
func (a *application) awaitHealthy(t *testing.T) {
	t.Helper()
	a.await(t, "the Application is Synced and Healthy", func(o *unstructured.Unstructured) bool {
		_, running := o.Object["operation"]
		return !running && compared(o, "source") && compared(o, "sources") && text(o, "status", "operationState", "phase") == "Succeeded" &&
			text(o, "status", "sync", "status") == "Synced" && text(o, "status", "health", "status") == "Healthy"
	})
}

// compared reports whether Argo CD has looked at what a field of the Application names, if it has the field.
func compared(o *unstructured.Unstructured, field string) bool {
	wanted, found, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", field)
	if !found {
		return true
	}
	seen, _, _ := unstructured.NestedFieldNoCopy(o.Object, "status", "sync", "comparedTo", field)
	return assert.ObjectsAreEqual(wanted, seen)
}

func (a *application) await(t *testing.T, what string, says func(*unstructured.Unstructured) bool) {
	t.Helper()
	scenario.Await(t, what, func() (bool, any) {
		o := a.get(t)
		return says(o), o.Object["status"]
	})
}

// text is a string in an object, empty where there is none.
func text(o *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

// remove deletes the Application with all that it has made.
func (a *application) remove(t *testing.T) {
	if t.Failed() {
		a.Explain(t, "argocd-repo-server", "argocd-application-controller")
	}
	ctx := context.WithoutCancel(t.Context())
	if err := a.client.Delete(ctx, charttest.Release, metav1.DeleteOptions{}); apierrors.IsNotFound(err) {
		return
	}
	scenario.Await(t, "Argo CD has deleted everything", func() (bool, any) {
		o, err := a.client.Get(ctx, charttest.Release, metav1.GetOptions{})
		return apierrors.IsNotFound(err), o
	})
}
