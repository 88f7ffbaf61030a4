package confinement

import (
	"net/http"
	"path"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// entry is the first entry of a webhook configuration.
func entry(o map[string]any) map[string]any { return o["webhooks"].([]any)[0].(map[string]any) }

// ofEntry is an edit that sets a field of the first entry.
func ofEntry(name, field, value string) edit {
	return edit{name: name, do: func(o map[string]any) { entry(o)[field] = fromJSON(value) }}
}

// ofService is an edit of where the first entry's Service is.
func ofService(name, field, value string) edit {
	return edit{name: name, do: func(o map[string]any) { in(entry(o), "clientConfig", "service")[field] = fromJSON(value) }}
}

// ofWebhooks are what must not be done to a webhook configuration of either kind that has at least one entry.
var ofWebhooks = slices.Concat([]edit{
	{name: "a URL instead of the Service", removes: true, do: func(o map[string]any) {
		client := in(entry(o), "clientConfig")
		delete(client, "service")
		client["url"] = "https://attacker.example.com"
	}},
	ofService("another Service", "name", `"attacker"`),
	ofService("a Service of another namespace", "namespace", `"default"`),
	ofService("another port", "port", `8443`),
	ofService("another path", "path", `"/"`),
	ofEntry("no rules", "rules", `[]`),
	ofEntry("rules for creates alone", "rules",
		`[{"apiGroups":["*"],"apiVersions":["*"],"resources":["modelservings"],"operations":["CREATE"],"scope":"*"}]`),
	ofEntry("rules for everything", "rules",
		`[{"apiGroups":["*"],"apiVersions":["*"],"resources":["*"],"operations":["*"],"scope":"*"}]`),
	ofEntry("a selector of namespaces", "namespaceSelector", `{"matchLabels":{"nobody":"has"}}`),
	ofEntry("a selector of objects", "objectSelector", `{"matchExpressions":[{"key":"nobody","operator":"Exists"}]}`),
	ofEntry("failurePolicy Ignore", "failurePolicy", `"Ignore"`),
	ofEntry("matchPolicy Exact", "matchPolicy", `"Exact"`),
	ofEntry("matchConditions that never match", "matchConditions", `[{"name":"never","expression":"false"}]`),
	ofEntry("a time-out of a second", "timeoutSeconds", `1`),
	ofEntry("other side effects", "sideEffects", `"NoneOnDryRun"`),
	ofEntry("another version of the review", "admissionReviewVersions", `["v1","v2"]`),
	{name: "failurePolicy Ignore beside a new caBundle", do: func(o map[string]any) {
		in(entry(o), "clientConfig")["caBundle"], entry(o)["failurePolicy"] = someCA, "Ignore"
	}},
	{name: "no caBundle", removes: true, do: func(o map[string]any) { delete(in(entry(o), "clientConfig"), "caBundle") }},
	{name: "an empty caBundle", removes: true, do: func(o map[string]any) { in(entry(o), "clientConfig")["caBundle"] = "" }},
	{name: "no entry", removes: true, do: func(o map[string]any) { delete(o, "webhooks") }},
	{name: "one entry less", removes: true, do: func(o map[string]any) { o["webhooks"] = o["webhooks"].([]any)[1:] }},
	{name: "one entry more", do: func(o map[string]any) {
		another := runtime.DeepCopyJSON(entry(o))
		another["name"] = "another.example.com"
		o["webhooks"] = append(o["webhooks"].([]any), another)
	}},
	{name: "an entry of another name", removes: true, do: func(o map[string]any) { entry(o)["name"] = "another.example.com" }},
	{name: "no label of the release", removes: true, do: func(o map[string]any) {
		delete(in(o, "metadata", "labels"), "app.kubernetes.io/instance")
	}},
	{name: "another checksum of the entries", do: func(o map[string]any) {
		in(o, "metadata", "annotations")["certgen.kthena.volcano.sh/webhooks"] = "0"
	}},
	{name: "a Secret that cert-manager shall inject", do: func(o map[string]any) {
		in(o, "metadata", "annotations")["cert-manager.io/inject-ca-from-secret"] = "default/attacker"
	}},
}, ofHelm, ofMetadata, ofOwners(bundle))

// ofSeveral are edits of configurations with more than one entry, and ofMutating those that need a mutating one.
var (
	ofSeveral  = []edit{{name: "another order", removes: true, do: func(o map[string]any) { slices.Reverse(o["webhooks"].([]any)) }}}
	ofMutating = []edit{ofEntry("reinvocation", "reinvocationPolicy", `"Never"`)}
)

// someCA is a caBundle. The API server does not look into it.
const someCA = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K"

// onWebhooks are attacks on webhook configurations.
func onWebhooks() []attack {
	at := func(name string) func(*stage) string { return func(*stage) string { return configuration(name) } }
	delete := func(account, name string) attack {
		return attack{name: account + ": " + name + ": delete", account: account, request: func(testing.TB, *stage) request {
			return request{verb: http.MethodDelete, path: configuration(name)}
		}}
	}
	deleteAll := func(account, name string) attack {
		return attack{name: account + ": " + name + " and all others: delete", account: account, request: func(testing.TB, *stage) request {
			return request{verb: http.MethodDelete, path: path.Dir(configuration(name)), target: configuration(name)}
		}}
	}
	apply := func(account, name string) attack {
		return attack{name: account + ": another " + name + ", by apply", account: account, request: func(t testing.TB, s *stage) request {
			o := s.get(t, configuration(name))
			o["metadata"] = map[string]any{"name": newName}
			at := path.Dir(configuration(name)) + "/" + newName
			return request{verb: http.MethodPatch, path: at, patch: types.ApplyPatchType, body: encode(t, o)}
		}}
	}
	create := func(account, name, how string, do func(o map[string]any)) attack {
		return attack{name: account + ": another " + name + how, account: account, request: func(t testing.TB, s *stage) request {
			o := s.get(t, configuration(name))
			do(o)
			o["metadata"] = map[string]any{"name": newName}
			collection := path.Dir(configuration(name))
			return request{verb: http.MethodPost, path: collection, target: collection + "/" + newName, body: encode(t, o)}
		}}
	}
	asItIs := func(map[string]any) {}
	return slices.Concat(
		asAnother(registry, mutating, at(mutating), bundle), asAnother(controller, validating, at(validating), bundle),
		changes(registry, mutating, at(mutating), slices.Concat(ofWebhooks, ofSeveral, ofMutating), methods, patches),
		changes(registry, validating, at(validating), slices.Concat(ofWebhooks, ofSeveral), []method{byMergePatch}, patches),
		changes(workload, validatingWorkload, at(validatingWorkload), ofWebhooks, []method{byStrategicPatch}, patches),
		changes(router, validatingNetworking, at(validatingNetworking), slices.Concat(ofWebhooks, ofSeveral), []method{byJSONPatch}, patches),
		changes(controller, validatingNetworking, at(validatingNetworking), slices.Concat(ofWebhooks, ofSeveral),
			[]method{byStrategicPatch}, patches),
		// Those of another component are not in the Role.
		changes(router, mutating, at(mutating), ofWebhooks[:3], patches, nil),
		[]attack{
			delete(registry, mutating), delete(registry, validating), delete(controller, validatingNetworking),
			deleteAll(registry, mutating), deleteAll(controller, validatingNetworking), apply(workload, validatingWorkload),
			create(registry, mutating, "", asItIs), create(router, validatingNetworking, "", asItIs), create(controller, validating, "", asItIs),
			create(registry, validating, " without entries", func(o map[string]any) { o["webhooks"] = []any{} }),
		},
	)
}
