package confinement

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// webhookService is the Service of a webhook.
const webhookService = "registry-webhook"

func (s *stage) services() string { return "/api/v1/namespaces/" + s.Namespace + "/services" }

// onServices are attacks on what leads the API server to the webhooks: Kthena's own programs may write Services in every namespace.
func onServices() []attack {
	at := func(s *stage) string { return s.services() + "/" + webhookService }
	remove := func(account string) attack {
		return attack{name: account + ": Service: delete", account: account, open: true, request: func(_ testing.TB, s *stage) request {
			return request{verb: http.MethodDelete, path: at(s)}
		}}
	}
	edits := append([]edit{
		{name: "a host outside of the cluster", removes: true, do: func(o map[string]any) {
			o["spec"] = map[string]any{"type": "ExternalName", "externalName": "attacker.example.com"}
		}},
		{name: "other pods", do: func(o map[string]any) { in(o, "spec", "selector")["app.kubernetes.io/component"] = router }},
		{name: "another port of the pods", do: func(o map[string]any) {
			in(o, "spec")["ports"].([]any)[0].(map[string]any)["targetPort"] = 1.0
		}},
	}, ofMetadata...)
	list := changes(router, "Service", at, edits, methods, methods)
	for _, a := range changes(router, "Service's status", at, ofMetadata[1:2], []method{byMergePatch}, patches) {
		change := a.request
		a.request = func(t testing.TB, s *stage) request {
			r := change(t, s)
			r.path, r.target = r.path+"/status", r.path
			return r
		}
		list = append(list, a)
	}
	return append(list, remove(registry), remove(workload), remove(router))
}

// assertServiceCannotBeMade asserts that a webhook's Service that is gone is made by nobody of whom the policies are.
func (s *stage) assertServiceCannotBeMade(t *testing.T) {
	t.Helper()
	o := s.get(t, s.services()+"/"+webhookService)
	require.NoError(t, s.admin.Delete().AbsPath(s.services()+"/"+webhookService).Do(t.Context()).Error())
	o["metadata"] = map[string]any{"name": webhookService, "labels": metadata(o)["labels"], "annotations": metadata(o)["annotations"]}
	for _, account := range []string{registry, workload, router} {
		err := client(s.accounts[account]).Post().AbsPath(s.services()).Body(encode(t, o)).Do(t.Context()).Error()
		assert.ErrorContains(t, err, refusal("kthena-certgen-services"), account)
	}
	require.NoError(t, s.admin.Post().AbsPath(s.services()).Body(encode(t, o)).Do(t.Context()).Error())
}
