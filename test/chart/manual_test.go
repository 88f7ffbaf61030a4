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

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
)

func TestManualModeIsReadyWithoutARestart(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("with %d replicas", n), func(t *testing.T) {
			i := env.Prepare(t)
			i.Install(t, charttest.InManualMode(n, i.CreateOwnSecrets(t)))
			i.RequireNoRestarts(t)
			i.RequireAdmission(t, 7)
			secrets, err := env.Client.CoreV1().Secrets(i.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeTLS)})
			require.NoError(t, err)
			assert.Len(t, secrets.Items, 3, "the user's and no others")
		})
	}
}

func TestObjectsCanBeDeletedAfterAnUninstallAndTheReleaseComesBackInAnotherMode(t *testing.T) {
	i := env.Prepare(t)
	own := i.CreateOwnSecrets(t)
	client, err := dynamic.NewForConfig(env.Config)
	require.NoError(t, err)
	servings := client.Resource(schema.GroupVersionResource{Group: "workload.serving.volcano.sh", Version: "v1alpha1", Resource: "modelservings"}).Namespace(i.Namespace)
	for _, mode := range charttest.Modes {
		t.Run(mode, func(t *testing.T) {
			values := charttest.InMode(mode, 1)
			if mode == charttest.Manual {
				values = charttest.InManualMode(1, own)
			}
			i.Install(t, values)
			i.RequireAdmission(t, 7)
			object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
			object.SetAPIVersion("workload.serving.volcano.sh/v1alpha1")
			object.SetKind("ModelServing")
			object.SetName("left")
			_, err := servings.Create(t.Context(), object, metav1.CreateOptions{})
			require.NoError(t, err)
			require.NoError(t, i.Helm.Uninstall(charttest.Release, charttest.Wait))
			require.NoError(t, servings.Delete(t.Context(), "left", metav1.DeleteOptions{}))
		})
	}
}
