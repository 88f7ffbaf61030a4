package chart

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

func TestManualModeIsReadyWithoutARestart(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("with %d replicas", n), func(t *testing.T) {
			i := prepare(t)
			i.install(t, inManualMode(n, i.createOwnSecrets(t)))
			i.requireNoRestarts(t)
			i.requireAdmission(t, 7)
			secrets, err := cluster.Client.CoreV1().Secrets(i.namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeTLS)})
			require.NoError(t, err)
			assert.Len(t, secrets.Items, 3, "the user's and no others")
		})
	}
}

func TestObjectsCanBeDeletedAfterAnUninstallAndTheReleaseComesBackInAnotherMode(t *testing.T) {
	i := prepare(t)
	own := i.createOwnSecrets(t)
	all := []string{auto, certManager, manual}
	client, err := dynamic.NewForConfig(cluster.Config)
	require.NoError(t, err)
	servings := client.Resource(schema.GroupVersionResource{Group: "workload.serving.volcano.sh", Version: "v1alpha1", Resource: "modelservings"}).Namespace(i.namespace)
	for _, mode := range all {
		t.Run(mode, func(t *testing.T) {
			values := inMode(mode, 1)
			if mode == manual {
				values = inManualMode(1, own)
			}
			i.install(t, values)
			i.requireAdmission(t, 7)
			object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
			object.SetAPIVersion("workload.serving.volcano.sh/v1alpha1")
			object.SetKind("ModelServing")
			object.SetName("left")
			_, err := servings.Create(t.Context(), object, metav1.CreateOptions{})
			require.NoError(t, err)
			require.NoError(t, i.helm.Uninstall(release, wait))
			require.NoError(t, servings.Delete(t.Context(), "left", metav1.DeleteOptions{}))
		})
	}
}
