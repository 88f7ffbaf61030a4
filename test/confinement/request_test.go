package confinement

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/rest"
)

// newName is the name of what attacks create.
const newName = "attack"

// attack is something that a service account must not do.
type attack struct {
	name    string
	account string
	// open says that the chart's Roles allow it.
	open bool
	// real says that it has to be tried in earnest; others are tried as a dry run where they would succeed.
	real bool
	// request makes the request out of what there is now.
	request func(t testing.TB, s *stage) request
}

// request is one request to the API server.
type request struct {
	verb string
	path string
	// target is the path of the object that it would change or create, if that is another than path.
	target string
	patch  types.PatchType
	body   []byte
	// manager is the name that the API server records the change under, the program's own if it is empty.
	manager string
}

// do sends the request, and returns what the API server answers with.
func (r request) do(t testing.TB, client rest.Interface, dry bool) ([]byte, error) {
	t.Helper()
	q := client.Verb(r.verb).AbsPath(r.path).Body(r.body)
	if r.patch != "" {
		q = q.SetHeader("Content-Type", string(r.patch))
	}
	if r.patch == types.ApplyPatchType {
		q = q.Param("force", "true")
	}
	if r.verb != http.MethodDelete {
		q = q.Param("fieldManager", cmp.Or(r.manager, "kthena-certgen"))
	}
	if dry {
		q = q.Param("dryRun", "All")
	}
	result := q.Do(t.Context())
	body, _ := result.Raw()
	return body, result.Error()
}

// edit is a change of an object.
type edit struct {
	name string
	do   func(o map[string]any)
	// removes says that it cannot be said by server-side apply: that takes away only what the same manager has put there.
	removes bool
}

// method is a way to change an object. Its name ends the name of an attack.
type method struct {
	name    string
	request func(t testing.TB, path string, before, after map[string]any) request
}

var (
	byPut = method{"PUT", func(t testing.TB, path string, _, after map[string]any) request {
		return request{verb: http.MethodPut, path: path, body: encode(t, after)}
	}}
	byMergePatch = method{"merge patch", func(t testing.TB, path string, before, after map[string]any) request {
		was, is := encode(t, before), encode(t, after)
		body, err := jsonmergepatch.CreateThreeWayJSONMergePatch(was, is, was)
		require.NoError(t, err)
		return request{verb: http.MethodPatch, path: path, patch: types.MergePatchType, body: body}
	}}
	byStrategicPatch = method{"strategic merge patch", func(t testing.TB, path string, before, after map[string]any) request {
		body, err := strategicpatch.CreateTwoWayMergePatch(encode(t, before), encode(t, after), structOf(before))
		require.NoError(t, err)
		return request{verb: http.MethodPatch, path: path, patch: types.StrategicMergePatchType, body: body}
	}}
	byJSONPatch = method{"JSON patch", func(t testing.TB, path string, before, after map[string]any) request {
		operations := append(jsonPatch("/metadata/", metadata(before), metadata(after)), jsonPatch("/", before, after)...)
		return request{verb: http.MethodPatch, path: path, patch: types.JSONPatchType, body: encode(t, operations)}
	}}
	byApply = method{"server-side apply with force", func(t testing.TB, path string, _, after map[string]any) request {
		o := runtime.DeepCopyJSON(after)
		delete(o, "status")
		maps.DeleteFunc(metadata(o), func(key string, _ any) bool {
			return !slices.Contains([]string{"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences"}, key)
		})
		return request{verb: http.MethodPatch, path: path, patch: types.ApplyPatchType, body: encode(t, o)}
	}}

	patches = []method{byMergePatch, byStrategicPatch, byJSONPatch, byApply}
	methods = append([]method{byPut}, patches...)
)

// changes are attacks by which an account makes each edit of the object at path, by each method. The chart's Roles allow those methods
// that are in open.
func changes(account, what string, path func(s *stage) string, edits []edit, methods, open []method) []attack {
	var list []attack
	for _, m := range methods {
		for _, e := range edits {
			if m.name == byApply.name && e.removes {
				continue
			}
			list = append(list, attack{
				name: account + ": " + what + ": " + e.name + ", by " + m.name, account: account,
				open: slices.ContainsFunc(open, func(o method) bool { return o.name == m.name }),
				request: func(t testing.TB, s *stage) request {
					before := s.get(t, path(s))
					after := runtime.DeepCopyJSON(before)
					e.do(after)
					return m.request(t, path(s), before, after)
				},
			})
		}
	}
	return list
}

// jsonPatch is the patch (RFC 6902) that brings one map to another, below a path that ends with a slash. It leaves metadata alone.
func jsonPatch(path string, before, after map[string]any) []map[string]any {
	var operations []map[string]any
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if key != "metadata" && !reflect.DeepEqual(before[key], after[key]) {
			operations = append(operations, map[string]any{"op": "add", "path": path + key, "value": after[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, kept := after[key]; !kept {
			operations = append(operations, map[string]any{"op": "remove", "path": path + key})
		}
	}
	return operations
}

// structOf is the Go type of an object, by which strategic merge patches are made.
func structOf(o map[string]any) any {
	switch o["kind"] {
	case "MutatingWebhookConfiguration":
		return admissionv1.MutatingWebhookConfiguration{}
	case "ValidatingWebhookConfiguration":
		return admissionv1.ValidatingWebhookConfiguration{}
	case "Deployment":
		return appsv1.Deployment{}
	case "Service":
		return corev1.Service{}
	}
	return corev1.Secret{}
}

// in is the map at a path in an object, which is made if it is missing.
func in(o map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		next, ok := o[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			o[key] = next
		}
		o = next
	}
	return o
}

func metadata(o map[string]any) map[string]any { return in(o, "metadata") }

// fromJSON is a value as JSON has it.
func fromJSON(text string) any {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	return v
}

// ofHelm are edits of the metadata of an object that Helm has made.
var ofHelm = []edit{
	{name: "no labels", removes: true, do: func(o map[string]any) { delete(metadata(o), "labels") }},
	{name: "no annotations", removes: true, do: func(o map[string]any) { delete(metadata(o), "annotations") }},
}

// ofMetadata are edits of the metadata of any object that others could act on.
var ofMetadata = []edit{
	{name: "another label", do: func(o map[string]any) { in(o, "metadata", "labels")["example.com/a"] = "b" }},
	{name: "another annotation", do: func(o map[string]any) { in(o, "metadata", "annotations")["example.com/a"] = "b" }},
	{name: "a finalizer", do: func(o map[string]any) { metadata(o)["finalizers"] = []any{"example.com/keep"} }},
	{name: "an owner that is gone", do: func(o map[string]any) {
		metadata(o)["ownerReferences"] = fromJSON(
			`[{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"d9607e19-f88f-11e6-a518-42010a800195"}]`)
	}},
}
