package scenario

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// tampered is the webhook configuration that tamper changes.
const tampered = "kthena-registry-validating-webhook"

// tamper changes what the deployer has applied, as a person with kubectl does: the time that a webhook may take.
func (r *Rig) tamper(t *testing.T) {
	t.Helper()
	client := r.Env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	patch := []byte(`[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 7}]`)
	_, err := client.Patch(t.Context(), tampered, types.JSONPatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
	require.True(t, r.Tampered(t))
}

// Tampered says whether what tamper has changed is still as it has left it.
func (r *Rig) Tampered(t *testing.T) bool {
	t.Helper()
	w, err := r.Env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), tampered, metav1.GetOptions{})
	require.NoError(t, err)
	return *w.Webhooks[0].TimeoutSeconds == 7
}
