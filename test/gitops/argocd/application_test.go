package argocd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
)

// refresh is the annotation by which Argo CD is asked to look at an Application.
const refresh = "argocd.argoproj.io/refresh"

// application is an Application.
type application struct {
	*scenario.Rig
	repository string
	// options are its sync options besides those of the manual.
	options []string
	// withCRDs says that Kthena's kinds are a source of their own.
	withCRDs bool
	// different is how many objects Argo CD took for different from what it renders, at most, since Drift began.
	different int
}

// application prepares an Application that differs from the manual's in where its chart comes from. It goes away with the test.
func (c *argoCD) application(t *testing.T, mode string) *application {
	t.Helper()
	return &application{Rig: scenario.New(t, &c.Deployer, mode), repository: c.repository}
}

// with is a step that begins with another sync option.
func (a *application) with(option string, s scenario.Step) scenario.Step {
	return s.After(func() { a.options = []string{option} })
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

// Deploy makes the Application, which deletes its objects when it is deleted.
func (a *application) Deploy(t *testing.T, values map[string]any) {
	t.Helper()
	a.Ask(t, a.spec(values), func(o *unstructured.Unstructured) {
		o.SetFinalizers([]string{"resources-finalizer.argocd.argoproj.io/foreground"})
	})
	a.awaitHealthy(t)
}

// Change brings the Application to other values.
func (a *application) Change(t *testing.T, values map[string]any) {
	t.Helper()
	a.Update(t, func(o *unstructured.Unstructured) { o.Object["spec"] = scenario.Plain(t, a.spec(values)) })
	a.awaitHealthy(t)
	a.Settle(t)
}

// sync applies everything once more, changed or not, as argocd app sync does.
func (a *application) sync(t *testing.T) {
	t.Helper()
	before := a.Applied(t)
	a.Update(t, func(o *unstructured.Unstructured) {
		options := make([]any, len(a.options))
		for i, option := range a.options {
			options[i] = option
		}
		o.Object["operation"] = map[string]any{
			"sync": map[string]any{"prune": true, "syncOptions": options}, "initiatedBy": map[string]any{"username": "test"},
		}
	})
	a.AwaitObject(t, "a sync begins", func(*unstructured.Unstructured) bool { return a.Applied(t) != before })
	a.awaitHealthy(t)
}

// Compare asks Argo CD so many times to render and compare anew, as a hard refresh does.
func (a *application) Compare(t *testing.T, times int) {
	t.Helper()
	for range times {
		a.Annotate(t, refresh, "hard")
		a.AwaitObject(t, "Argo CD compares", func(o *unstructured.Unstructured) bool { return o.GetAnnotations()[refresh] == "" })
		a.count(t)
	}
}

// Drift compares at the end, too.
func (a *application) Drift(t *testing.T, do func()) string {
	t.Helper()
	a.different = 0
	do()
	a.Compare(t, 1)
	return scenario.Count(a.different, "objects")
}

// count looks how many objects of the Application are not as Argo CD renders them, or not rendered at all.
func (a *application) count(t *testing.T) {
	t.Helper()
	resources, _, err := unstructured.NestedSlice(a.Get(t).Object, "status", "resources")
	require.NoError(t, err)
	require.NotEmpty(t, resources)
	n := 0
	for _, r := range resources {
		if r := r.(map[string]any); r["status"] != "Synced" {
			t.Logf("different: %v %v/%v: %v", r["kind"], r["namespace"], r["name"], r["status"])
			n++
		}
	}
	a.different = max(a.different, n)
}

// Correct waits for a sync of nothing but what was different.
func (a *application) Correct(t *testing.T) string {
	t.Helper()
	scenario.Await(t, "Argo CD changes it back", func() (bool, any) { return !a.Tampered(t), nil })
	a.awaitHealthy(t)
	resources, _, err := unstructured.NestedSlice(a.Get(t).Object, "status", "operationState", "operation", "sync", "resources")
	require.NoError(t, err)
	return scenario.Count(len(resources), "corrected")
}

// Applied says when the last sync began, and who asked for it.
func (a *application) Applied(t *testing.T) string {
	t.Helper()
	o := a.Get(t)
	by := scenario.Text(o, "status", "operationState", "operation", "initiatedBy", "username")
	return scenario.Text(o, "status", "operationState", "startedAt") + by
}

// awaitHealthy waits until Argo CD has applied what was asked for last, and says Synced and Healthy. It asks Argo CD to look meanwhile, which
// would else notice some changes only when its time has come.
func (a *application) awaitHealthy(t *testing.T) {
	t.Helper()
	asked := time.Now()
	a.AwaitObject(t, "the Application is Synced and Healthy", func(o *unstructured.Unstructured) bool {
		_, running := o.Object["operation"]
		done := !running && compared(o, "source") && compared(o, "sources") &&
			scenario.Text(o, "status", "operationState", "phase") == "Succeeded" &&
			scenario.Text(o, "status", "sync", "status") == "Synced" && scenario.Text(o, "status", "health", "status") == "Healthy"
		if !done && time.Since(asked) > time.Second {
			a.Annotate(t, refresh, "normal")
			asked = time.Now()
		}
		return done
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
