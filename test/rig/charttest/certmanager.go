package charttest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// CertManagerObjects are cert-manager's objects of a kind in the release's namespace.
func (i *Installation) CertManagerObjects(t *testing.T, resource string) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(i.env.Config)
	require.NoError(t, err)
	return client.Resource(schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: resource}).Namespace(i.Namespace)
}

// Reissue asks cert-manager to issue a certificate anew, as cmctl renew does: by the condition Issuing.
func (i *Installation) Reissue(t *testing.T, name string) {
	t.Helper()
	client := i.CertManagerObjects(t, "certificates")
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
