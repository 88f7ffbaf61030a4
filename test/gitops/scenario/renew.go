package scenario

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
		r.Reissue(t, "registry-webhook-cert")
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
