package confinement

import (
	"net/http"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

const managedBy = "app.kubernetes.io/managed-by"

// tlsSecret is a Secret as kthena-certgen makes it, with what the API server asks of it.
func tlsSecret(namespace, name string) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata": map[string]any{"name": name, "namespace": namespace, "labels": map[string]any{managedBy: "kthena-certgen"}},
		"data":     map[string]any{"tls.crt": someCA, "tls.key": someCA, "ca.crt": someCA},
	}
}

// ofSecret are what must not be done to a Secret that is the account's own.
var ofSecret = slices.Concat([]edit{
	{name: "without the label", removes: true, do: func(o map[string]any) { delete(in(o, "metadata", "labels"), managedBy) }},
	{name: "with the label of another program", do: func(o map[string]any) { in(o, "metadata", "labels")[managedBy] = "attacker" }},
	{name: "with another key", do: func(o map[string]any) { in(o, "data")["token"] = someCA }},
	{name: "with another key, as text", do: func(o map[string]any) { in(o, "stringData")["token"] = "text" }},
	{name: "with a key less", removes: true, do: func(o map[string]any) { delete(in(o, "data"), "ca.crt") }},
	{name: "with a key of another name", removes: true, do: func(o map[string]any) {
		delete(in(o, "data"), "ca.crt")
		in(o, "data")["token"] = someCA
	}},
	{name: "with a label that looks like ours", do: func(o map[string]any) {
		in(o, "metadata", "labels")["app.kubernetes.io.example.com/a"] = "b"
	}},
	{name: "with an annotation that looks like ours", do: func(o map[string]any) {
		in(o, "metadata", "annotations")["certgen.kthena.volcano.sh.example.com/a"] = "b"
	}},
	{name: "immutable", do: func(o map[string]any) { o["immutable"] = true }},
	{name: "with another value of a common label", do: func(o map[string]any) { in(o, "metadata", "labels")[common] = "no" }},
	{name: "with another value of a common annotation", do: func(o map[string]any) { in(o, "metadata", "annotations")[common] = "no" }},
}, ofMetadata)

// ofUsedSecret are edits of what somebody else has put on a Secret of ours.
var ofUsedSecret = []edit{
	{name: "without somebody's label", removes: true, do: func(o map[string]any) { delete(in(o, "metadata", "labels"), somebodys) }},
	{name: "without somebody's annotation", removes: true, do: func(o map[string]any) { delete(in(o, "metadata", "annotations"), somebodys) }},
	{name: "with another value of somebody's label", do: func(o map[string]any) { in(o, "metadata", "labels")[somebodys] = "no" }},
	{name: "with another value of somebody's annotation", do: func(o map[string]any) { in(o, "metadata", "annotations")[somebodys] = "no" }},
}

// ofNewSecret are what a Secret must not be that is made anew under the account's own name, or under another.
var ofNewSecret = []edit{
	{name: "of the type Opaque", do: func(o map[string]any) { o["type"] = "Opaque" }},
	{name: "that holds a token of another account", do: func(o map[string]any) {
		o["type"] = "kubernetes.io/service-account-token"
		in(o, "metadata", "annotations")["kubernetes.io/service-account.name"] = "default"
	}},
	{name: "that is a release of Helm", do: func(o map[string]any) {
		o["type"] = "helm.sh/release.v1"
		in(o, "metadata", "labels")["owner"] = "helm"
	}},
}

var ofNameOfSecret = []edit{
	{name: "of another name", do: func(o map[string]any) { metadata(o)["name"] = newName }},
	{name: "of another component", do: func(o map[string]any) { metadata(o)["name"] = "workload-webhook-certs" }},
	{name: "of a name that the API server makes", do: func(o map[string]any) {
		delete(metadata(o), "name")
		metadata(o)["generateName"] = routerSecret + "-"
	}},
}

// onSecrets are attacks on Secrets.
func onSecrets() []attack {
	at := func(name string) func(*stage) string {
		return func(s *stage) string { return s.secrets() + "/" + name }
	}
	list := slices.Concat(
		changes(registry, "its Secret", at(registrySecret), slices.Concat(ofSecret, ofUsedSecret), methods, []method{byPut}),
		changes(controller, "a Secret of the router's", at(networkingSecret), ofSecret, []method{byPut}, []method{byPut}),
		// It has the name of ours, and somebody else has made it.
		changes(workload, "a Secret in the place of its own", at(workloadSecret), append([]edit{
			{name: "with the label", do: func(o map[string]any) { in(o, "metadata", "labels")[managedBy] = "kthena-certgen" }},
		}, ofMetadata[:1]...), methods, []method{byPut}),
		// It could be patched, were it not for the policy, and has the label.
		changes(router, "another component's Secret", at(registrySecret), []edit{
			{name: "with another certificate", do: func(o map[string]any) { in(o, "data")["tls.crt"] = someCA }},
		}, patches, nil),
		changes(registry, "somebody's Secret", at(foreignSecret), []edit{
			{name: "with another key", do: func(o map[string]any) { in(o, "data")["token"] = someCA }},
		}, methods, nil),
	)
	for _, account := range []string{router, controller} {
		for _, e := range slices.Concat(ofNewSecret, ofNameOfSecret, ofSecret) {
			a := attack{name: account + ": a new Secret " + e.name, account: account, open: true}
			a.request = func(t testing.TB, s *stage) request {
				o := tlsSecret(s.Namespace, routerSecret)
				e.do(o)
				name, _ := metadata(o)["name"].(string)
				return request{verb: http.MethodPost, path: s.secrets(), target: s.secrets() + "/" + name, body: encode(t, o)}
			}
			list = append(list, a)
		}
	}
	remove := func(account, path, what string, open bool) attack {
		return attack{name: account + ": " + what + ": delete", account: account, open: open, request: func(_ testing.TB, s *stage) request {
			return request{verb: http.MethodDelete, path: s.secrets() + path}
		}}
	}
	return append(list,
		attack{name: router + ": a new Secret of another name, by apply", account: router, request: func(t testing.TB, s *stage) request {
			path, body := s.secrets()+"/"+newName, encode(t, tlsSecret(s.Namespace, newName))
			return request{verb: http.MethodPatch, path: path, patch: types.ApplyPatchType, body: body}
		}},
		remove(workload, "/"+workloadSecret, "a Secret in the place of its own", true),
		remove(controller, "/"+workloadSecret, "a Secret in the place of its own", true),
		remove(registry, "/"+foreignSecret, "somebody's Secret", false),
		remove(registry, "", "all Secrets", false),
	)
}
