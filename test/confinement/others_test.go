package confinement

import (
	"net/http"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/internal/sample"
)

// event is an Event about an object. Empty fields of the object are left out.
func event(namespace string, about map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Event", "metadata": map[string]any{"name": newName, "namespace": namespace},
		"involvedObject": about, "reason": "Attacked", "message": "all is well", "type": "Normal",
		"source": map[string]any{"component": "kthena-certgen"},
	}
}

// about is the reference of an object.
func about(apiVersion, kind, namespace, name string) map[string]any {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "name": name}
	if namespace != "" {
		o["namespace"] = namespace
	}
	return o
}

// own stands for the namespace of the release.
const own = "own"

// onEvents are attacks by Events that tell about others.
func onEvents() []attack {
	var list []attack
	for _, c := range []struct {
		account, name               string
		apiVersion, kind, ns, other string
		open                        bool
	}{
		// Kthena's own program may create Events in every namespace.
		{registry, "a Deployment", "apps/v1", "Deployment", own, registry, true},
		{registry, "a ConfigMap", "v1", "ConfigMap", own, "model-booster-controller-config", true},
		{registry, "another component's Secret", "v1", "Secret", own, workloadSecret, true},
		{registry, "a Secret of its name in another namespace", "v1", "Secret", "default", registrySecret, true},
		{registry, "a node", "v1", "Node", "", "local", true},
		{registry, "its webhook configuration", "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", validating, true},
		{registry, "a Secret of no group that is known", "", "Secret", own, foreignSecret, true},
		{registry, "nothing in particular", "", "", own, "", true},
		{registry, "a node in a group of Kthena's", "workload.serving.volcano.sh/v1alpha1", "Node", "", "local", true},
		{registry, "a ServiceAccount in the group of Leases", "coordination.k8s.io/v1", "ServiceAccount", own, registry, true},
		{registry, "a Lease in another namespace", "coordination.k8s.io/v1", "Lease", "kube-system", "kube-scheduler", true},
		{workload, "a ServiceAccount", "v1", "ServiceAccount", own, workload, true},
		{router, "a pod", "v1", "Pod", own, "pod", true},
		{router, "an object of Kthena's", "networking.serving.volcano.sh/v1alpha1", "ModelServer", own, foreignModel, true},
		{router, "another component's Secret", "v1", "Secret", own, registrySecret, true},
		{router, "its Deployment", "apps/v1", "Deployment", own, router, true},
		{router, "a Secret of its name in another group", "example.com/v1", "Secret", own, routerSecret, true},
		{router, "an object in another namespace", "v1", "Pod", "default", "pod", false},
		{controller, "a pod", "v1", "Pod", own, "pod", true},
		{controller, "somebody's Secret", "v1", "Secret", own, foreignSecret, true},
		{controller, "another Deployment", "apps/v1", "Deployment", own, newName, true},
		{controller, "a Deployment of its name in another group", "example.com/v1", "Deployment", own, registry, true},
		{controller, "a Deployment of its name in another namespace", "apps/v1", "Deployment", "default", registry, false},
	} {
		a := attack{name: c.account + ": an Event about " + c.name, account: c.account, open: c.open}
		a.request = func(t testing.TB, s *stage) request {
			ns, in := c.ns, c.ns
			switch ns {
			case own:
				ns, in = s.Namespace, s.Namespace
			case "":
				in = "default" // where the API server wants Events about objects of the whole cluster
			}
			path := "/api/v1/namespaces/" + in + "/events"
			body := encode(t, event(in, about(c.apiVersion, c.kind, ns, c.other)))
			return request{verb: http.MethodPost, path: path, target: path + "/" + newName, body: body}
		}
		list = append(list, a)
	}
	for _, c := range []struct {
		account         string
		about, relative []string // apiVersion, kind and name
	}{
		{registry, []string{"v1", "Pod", "pod"}, []string{"v1", "Node", "local"}},
		{workload, []string{"v1", "Secret", workloadSecret}, []string{"v1", "Secret", registrySecret}},
		{router, []string{"v1", "Secret", routerSecret}, []string{"v1", "Pod", "pod"}},
		{controller, []string{"apps/v1", "Deployment", router}, []string{"apps/v1", "Deployment", newName}},
	} {
		a := attack{name: c.account + ": an Event about its own that is related to another " + c.relative[1], account: c.account, open: true}
		a.request = func(t testing.TB, s *stage) request {
			o := event(s.Namespace, about(c.about[0], c.about[1], s.Namespace, c.about[2]))
			o["related"] = about(c.relative[0], c.relative[1], s.Namespace, c.relative[2])
			path := "/api/v1/namespaces/" + s.Namespace + "/events"
			return request{verb: http.MethodPost, path: path, target: path + "/" + newName, body: encode(t, o)}
		}
		list = append(list, a)
	}
	byNewerAPI := attack{name: workload + ": an Event about a Deployment, through the newer API", account: workload}
	byNewerAPI.request = func(t testing.TB, s *stage) request {
		path := "/apis/events.k8s.io/v1/namespaces/" + s.Namespace + "/events"
		return request{verb: http.MethodPost, path: path, target: path + "/" + newName, body: encode(t, map[string]any{
			"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": map[string]any{"name": newName}, "type": "Normal",
			"regarding": about("apps/v1", "Deployment", s.Namespace, workload), "eventTime": "2026-01-01T00:00:00.000000Z",
			"reason": "Attacked", "action": "Attack", "reportingController": "kubelet", "reportingInstance": "local",
		})}
	}
	changeBy := func(account, name, version, event, body string, open bool) attack {
		return attack{name: account + ": " + name, account: account, open: open, request: func(_ testing.TB, s *stage) request {
			path := "/" + version + "/namespaces/" + s.Namespace + "/events/" + event
			return request{verb: http.MethodPatch, path: path, patch: types.MergePatchType, body: []byte(body)}
		}}
	}
	change := func(account, name, version, event string, open bool) attack {
		return changeBy(account, name, version, event, `{"metadata":{"labels":{"a":"b"}}}`, open)
	}
	return append(list,
		change(registry, "an Event about a Deployment that is there", "api/v1", foreignEvent, true),
		changeBy(registry, "an Event about a Deployment that is there, which becomes one about a pod", "api/v1", foreignEvent,
			`{"involvedObject":{"apiVersion":"v1","kind":"Pod","name":"pod"}}`, true),
		change(registry, "an Event that is there, about what is related to a Deployment", "api/v1", relatedEvent, true),
		change(workload, "an Event about a Deployment that is there, through the newer API", "apis/events.k8s.io/v1", foreignEvent, false),
		change(router, "an Event about a Deployment that is there", "api/v1", foreignEvent, false),
		byNewerAPI,
	)
}

// model is a small object of one of Kthena's kinds that its schema and its webhooks admit.
func model(kind, group, name string) map[string]any {
	resources := map[string]string{
		"ModelBooster": "modelboosters", "AutoscalingPolicy": "autoscalingpolicies", "ModelServing": "modelservings",
		"ModelRoute": "modelroutes", "ModelServer": "modelservers",
	}
	spec := sample.Of(resources[kind])[0].Valid
	return map[string]any{
		"apiVersion": group + "/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": fromJSON(string(spec)),
	}
}

// onModels are attacks of the account of helm test, which may create objects so that it can do it in dry runs.
func onModels() []attack {
	const workloads, networks = "workload.serving.volcano.sh", "networking.serving.volcano.sh"
	var list []attack
	for _, c := range []struct{ kind, group, resource string }{
		{"ModelBooster", workloads, "modelboosters"}, {"AutoscalingPolicy", workloads, "autoscalingpolicies"},
		{"ModelServing", workloads, "modelservings"}, {"ModelRoute", networks, "modelroutes"}, {"ModelServer", networks, "modelservers"},
	} {
		a := attack{name: verifier + ": a " + c.kind, account: verifier, open: true, real: true}
		a.request = func(t testing.TB, s *stage) request {
			path := s.models(c.group, c.resource)
			return request{verb: http.MethodPost, path: path, target: path + "/" + newName, body: encode(t, model(c.kind, c.group, newName))}
		}
		list = append(list, a)
	}
	there := func(s *stage) string { return s.models(networks, "modelservers") + "/" + foreignModel }
	change := func(what, subresource, field string) attack {
		return attack{name: verifier + ": " + what + " of an object that is there", account: verifier, real: true,
			request: func(t testing.TB, s *stage) request {
				body := encode(t, map[string]any{field: map[string]any{"labels": map[string]any{"was": s.version(t, there(s))}}})
				return request{verb: http.MethodPatch, path: there(s) + subresource, target: there(s), patch: types.MergePatchType, body: body}
			}}
	}
	remove := attack{name: verifier + ": an object that is there: delete", account: verifier, real: true}
	remove.request = func(_ testing.TB, s *stage) request { return request{verb: http.MethodDelete, path: there(s)} }
	return append(list, change("a change", "", "metadata"), change("the status", "/status", "status"), remove)
}
