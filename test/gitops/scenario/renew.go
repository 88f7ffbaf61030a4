package scenario

import (
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// annotation is what the controller rolls pods by.
const annotation = "certgen.kthena.volcano.sh/certificate"

// Registry is the Deployment of the component whose certificate is renewed.
const Registry = "kthena-registry"

// Deployment reads one.
func (r *Rig) Deployment(t *testing.T, name string) *appsv1.Deployment {
	t.Helper()
	d, err := r.Env.Client.AppsV1().Deployments(r.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return d
}

// Rolled is the annotation by which the controller has rolled the registry's pods, if it has.
func (r *Rig) Rolled(t *testing.T) string {
	t.Helper()
	return r.Deployment(t, Registry).Spec.Template.Annotations[annotation]
}

// Renew renews the registry's certificate before it is due, as a person does, and waits until the controller has rolled the pods to it.
func (r *Rig) Renew(t *testing.T) {
	t.Helper()
	before := r.Rolled(t)
	if r.Mode == charttest.Auto {
		r.forceRenew(t)
	} else {
		r.reissue(t)
	}
	Await(t, "the controller rolls the registry", func() (bool, any) { return r.Rolled(t) != before, before })
	r.Settle(t)
}

// forceRenew renews a certificate of auto mode.
func (r *Rig) forceRenew(t *testing.T) {
	t.Helper()
	service := "registry-webhook." + r.Namespace + ".svc"
	out, err := exec.CommandContext(t.Context(), r.Env.Program("kthena-certgen"), "bootstrap",
		"--kubeconfig", r.Env.Kubeconfig, "--namespace", r.Namespace,
		"--secret-name=registry-webhook-certs-auto", "--force-renew", "--dns-name", service, "--dns-name", service+".cluster.local",
		"--mutating-webhook-configuration=kthena-registry-mutating-webhook",
		"--validating-webhook-configuration=kthena-registry-validating-webhook",
	).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// reissue asks cert-manager to issue a certificate anew, as cmctl renew does: by the condition Issuing.
func (r *Rig) reissue(t *testing.T) {
	t.Helper()
	certificates := schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	client := Dynamic(t, r.Env).Resource(certificates).Namespace(r.Namespace)
	const name = "registry-webhook-cert"
	c, err := client.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	conditions, _, err := unstructured.NestedSlice(c.Object, "status", "conditions")
	require.NoError(t, err)
	conditions = append(conditions, map[string]any{
		"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "Certificate re-issuance manually triggered",
		"lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
	})
	body, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": conditions}})
	require.NoError(t, err)
	_, err = client.Patch(t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{}, "status")
	require.NoError(t, err)
}
