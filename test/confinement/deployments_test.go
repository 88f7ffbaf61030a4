package confinement

import (
	"net/http"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

const certificateAnnotation = "certgen.kthena.volcano.sh/certificate"

// pod is the specification of a Deployment's pods, and container the first container's.
func pod(o map[string]any) map[string]any { return in(o, "spec", "template", "spec") }

func container(o map[string]any) map[string]any {
	return pod(o)["containers"].([]any)[0].(map[string]any)
}

// ofPod and ofContainer are edits that set a field of a Deployment's pods, or of their first container.
func ofPod(name, field, value string) edit {
	return edit{name: name, do: func(o map[string]any) { pod(o)[field] = fromJSON(value) }}
}

func ofContainer(name, field, value string) edit {
	return edit{name: name, do: func(o map[string]any) { container(o)[field] = fromJSON(value) }}
}

func ofSpec(name, field, value string) edit {
	return edit{name: name, do: func(o map[string]any) { in(o, "spec")[field] = fromJSON(value) }}
}

// ofDeployment are what must not be done to a Deployment.
var ofDeployment = slices.Concat([]edit{
	ofContainer("another image", "image", `"attacker.example.com/image"`),
	ofContainer("a command", "command", `["/bin/sh"]`),
	ofContainer("other arguments", "args", `["--enable-webhook=false"]`),
	ofContainer("a variable out of a Secret", "env", `[{"name":"A","valueFrom":{"secretKeyRef":{"name":"foreign","key":"a"}}}]`),
	ofContainer("all variables out of a Secret", "envFrom", `[{"secretRef":{"name":"foreign"}}]`),
	ofContainer("a container with privileges", "securityContext", `{"privileged":true,"allowPrivilegeEscalation":true}`),
	ofContainer("other resources", "resources", `{"limits":{"memory":"1Ti"}}`),
	{name: "one container more", do: func(o map[string]any) {
		pod(o)["containers"] = append(pod(o)["containers"].([]any), fromJSON(`{"name":"another","image":"attacker.example.com/image"}`))
	}},
	{name: "another init container", do: func(o map[string]any) {
		pod(o)["initContainers"] = append(pod(o)["initContainers"].([]any), fromJSON(`{"name":"another","image":"attacker.example.com/image"}`))
	}},
	{name: "a volume of a Secret", do: func(o map[string]any) {
		pod(o)["volumes"] = append(pod(o)["volumes"].([]any), fromJSON(`{"name":"another","secret":{"secretName":"foreign"}}`))
	}},
	{name: "the account of helm test", do: func(o map[string]any) {
		pod(o)["serviceAccountName"], pod(o)["serviceAccount"] = verifier, verifier
	}},
	ofPod("the network of the node", "hostNetwork", `true`),
	ofPod("a selector of nodes", "nodeSelector", `{"nobody":"has"}`),
	ofPod("another scheduler", "schedulerName", `"attacker"`),
	ofPod("another host name", "hostname", `"attacker"`),
	ofSpec("no replicas", "replicas", `0`),
	ofSpec("a pause", "paused", `true`),
	ofSpec("another deadline", "progressDeadlineSeconds", `1000`),
	ofSpec("more time until a pod counts", "minReadySeconds", `100`),
	ofSpec("no history", "revisionHistoryLimit", `0`),
	{name: "a strategy that leaves no pod", removes: true, do: func(o map[string]any) {
		in(o, "spec")["strategy"] = map[string]any{"type": "Recreate"}
	}},
	{name: "another label of the pods", do: func(o map[string]any) { in(o, "spec", "template", "metadata", "labels")["example.com/a"] = "b" }},
	{name: "another annotation of the pods", do: func(o map[string]any) {
		in(o, "spec", "template", "metadata", "annotations")["kubectl.kubernetes.io/restartedAt"] = "now"
	}},
	{name: "another checksum of the entries", do: func(o map[string]any) {
		in(o, "spec", "template", "metadata", "annotations")["checksum/webhooks"] = "0"
	}},
	{name: "no checksum of the entries", removes: true, do: func(o map[string]any) {
		delete(in(o, "spec", "template", "metadata", "annotations"), "checksum/webhooks")
	}},
	{name: "another image beside the annotation of the certificate", do: func(o map[string]any) {
		in(o, "spec", "template", "metadata", "annotations")[certificateAnnotation] = "sha256:0"
		container(o)["image"] = "attacker.example.com/image"
	}},
}, ofHelm, ofMetadata, ofOwners(certify), []edit{ofStatus})

// onDeployments are attacks on Deployments.
func onDeployments() []attack {
	at := func(s *stage) string { return s.deployments() + "/" + registry }
	with := func(name, verb, path string, patch types.PatchType, body string) attack {
		return attack{name: controller + ": Deployment: " + name, account: controller, request: func(_ testing.TB, s *stage) request {
			return request{verb: verb, path: at(s) + path, target: at(s), patch: patch, body: []byte(body)}
		}}
	}
	return append(slices.Concat(
		changes(controller, "Deployment", at, ofDeployment, methods, patches), asAnother(controller, "Deployment", at, certify)),
		with("delete", http.MethodDelete, "", "", ""),
		attack{name: controller + ": all Deployments: delete", account: controller, request: func(_ testing.TB, s *stage) request {
			return request{verb: http.MethodDelete, path: s.deployments(), target: at(s)}
		}},
		with("another scale", http.MethodPatch, "/scale", types.MergePatchType, `{"spec":{"replicas":0}}`),
		with("another status", http.MethodPatch, "/status", types.MergePatchType, `{"status":{"observedGeneration":0}}`),
		attack{name: controller + ": Deployment: another one", account: controller, request: func(t testing.TB, s *stage) request {
			o := s.get(t, at(s))
			o["metadata"] = map[string]any{"name": newName}
			delete(o, "status")
			return request{verb: http.MethodPost, path: s.deployments(), target: s.deployments() + "/" + newName, body: encode(t, o)}
		}},
		attack{name: controller + ": Deployment: another scale, by PUT", account: controller, request: func(t testing.TB, s *stage) request {
			o := s.get(t, at(s)+"/scale")
			in(o, "spec")["replicas"] = 0
			return request{verb: http.MethodPut, path: at(s) + "/scale", target: at(s), body: encode(t, o)}
		}},
	)
}
