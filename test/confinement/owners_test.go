package confinement

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

// ofOwners are edits of who is recorded to have set which fields, beside a change that the account may make. A program that applies takes
// away what it is recorded to have applied before and no longer has: a wrong record has it take away what others have set.
func ofOwners(change func(o map[string]any)) []edit {
	owners := func(o map[string]any) []any { return metadata(o)["managedFields"].([]any) }
	first := func(o map[string]any) map[string]any { return owners(o)[0].(map[string]any) }
	edits := []edit{
		{name: "a program that owns what somebody has set", do: func(o map[string]any) {
			metadata(o)["managedFields"] = append(owners(o), map[string]any{
				"manager": "helm", "operation": "Apply", "apiVersion": o["apiVersion"], "time": "2026-01-01T00:00:00Z",
				"fieldsType": "FieldsV1", "fieldsV1": fromJSON(`{"f:metadata":{"f:annotations":{"f:example.com/somebodys":{}}}}`),
			})
		}},
		{name: "an owner that owns more", do: func(o map[string]any) {
			in(first(o), "fieldsV1", "f:metadata", "f:annotations")["f:example.com/somebodys"] = map[string]any{}
		}},
		{name: "an owner of another name", do: func(o map[string]any) { first(o)["manager"] = "another" }},
		{name: "an owner that has applied", do: func(o map[string]any) { first(o)["operation"] = "Apply" }},
	}
	for i, e := range edits {
		edits[i].removes = true
		edits[i].do = func(o map[string]any) {
			e.do(o)
			change(o)
		}
	}
	return edits
}

// ofStatus is the same with what Kubernetes' controller owns of a Deployment's status.
var ofStatus = edit{name: "a controller that owns the status where it has no right to", removes: true, do: func(o map[string]any) {
	for _, f := range metadata(o)["managedFields"].([]any) {
		delete(f.(map[string]any), "subresource")
	}
	certify(o)
}}

// bundle gives the first entry of a configuration another caBundle, and certify the pods of a Deployment another certificate.
func bundle(o map[string]any) { in(entry(o), "clientConfig")["caBundle"] = someCA }
func certify(o map[string]any) {
	in(o, "spec", "template", "metadata", "annotations")[certificateAnnotation] = "sha256:0"
}

// asAnother are changes that an account may make, and makes in the name of another program, or by apply.
func asAnother(account, what string, at func(s *stage) string, change func(o map[string]any)) []attack {
	patch := changes(account, what, at, []edit{{name: "what it may change, in the name of another program", do: change}},
		[]method{byMergePatch}, patches)
	for i, a := range patch {
		patch[i].request = func(t testing.TB, s *stage) request {
			r := a.request(t, s)
			r.manager = "helm"
			return r
		}
	}
	return append(patch, changes(account, what, at, []edit{{name: "what it may change", do: change}}, []method{byApply}, patches)...)
}

// crowd makes a dozen programs own an object's labels, so that the API server records the oldest owners under one name.
func (s *stage) crowd(t testing.TB, path string) {
	t.Helper()
	for i := range 12 {
		body := fmt.Appendf(nil, `{"metadata":{"labels":{"example.com/%d":"a"}}}`, i)
		r := request{verb: http.MethodPatch, path: path, patch: types.MergePatchType, body: body, manager: fmt.Sprintf("crowd-%d", i)}
		_, err := r.do(t, s.admin, false)
		require.NoError(t, err)
	}
}
