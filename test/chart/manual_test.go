package chart

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/internal/sample"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

func TestObjectsCanBeDeletedAfterAnUninstallAndTheReleaseComesBackInAnotherMode(t *testing.T) {
	i := env.Prepare(t)
	own := i.CreateOwnSecrets(t)
	client, err := dynamic.NewForConfig(env.Config)
	require.NoError(t, err)
	servings := client.Resource(
		schema.GroupVersionResource{Group: "workload.serving.volcano.sh", Version: "v1alpha1", Resource: "modelservings"},
	).Namespace(i.Namespace)
	for _, mode := range charttest.Modes {
		t.Run(mode, func(t *testing.T) {
			values := charttest.InMode(mode, 1)
			if mode == charttest.Manual {
				values = charttest.InManualMode(1, own)
			}
			i.Install(t, charttest.Merged(values, only("workload")))
			i.RequireAdmission(t, 1)
			var spec map[string]any
			require.NoError(t, json.Unmarshal(sample.Of("modelservings")[0].Valid, &spec))
			object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
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
