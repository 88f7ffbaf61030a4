package crds

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/internal/localcluster"
)

var cluster *localcluster.Cluster

func TestMain(m *testing.M) { localcluster.Main(m, &cluster) }

func TestInstall(t *testing.T) {
	require.NoError(t, Install(t.Context(), cluster.Config))

	t.Run("serves every kind with any spec", func(t *testing.T) {
		client, err := dynamic.NewForConfig(cluster.Config)
		require.NoError(t, err)
		all, err := All()
		require.NoError(t, err)
		got := map[string]string{}
		for _, crd := range all {
			version := schema.GroupVersion{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name}
			got[crd.Spec.Names.Kind] = version.String() + " " + crd.Spec.Names.Plural
			object := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": version.String(), "kind": crd.Spec.Names.Kind,
				"metadata": map[string]any{"generateName": "test-"},
				"spec":     map[string]any{"some": map[string]any{"field": "kept"}},
			}}
			resource := client.Resource(version.WithResource(crd.Spec.Names.Plural)).Namespace(metav1.NamespaceDefault)
			created, err := resource.Create(t.Context(), object, metav1.CreateOptions{})
			require.NoError(t, err, crd.Name)
			assert.Equal(t, object.Object["spec"], created.Object["spec"], crd.Name)
		}
		assert.Equal(t, map[string]string{
			"ModelBooster":      "workload.serving.volcano.sh/v1alpha1 modelboosters",
			"AutoscalingPolicy": "workload.serving.volcano.sh/v1alpha1 autoscalingpolicies",
			"ModelServing":      "workload.serving.volcano.sh/v1alpha1 modelservings",
			"ModelRoute":        "networking.serving.volcano.sh/v1alpha1 modelroutes",
			"ModelServer":       "networking.serving.volcano.sh/v1alpha1 modelservers",
		}, got)
	})

	t.Run("leaves alone what is there", func(t *testing.T) {
		require.NoError(t, Install(t.Context(), cluster.Config))
	})

	t.Run("says which definition could not be created", func(t *testing.T) {
		stranger := *cluster.Config
		stranger.Impersonate.UserName = "stranger"
		err := Install(t.Context(), &stranger)
		require.Error(t, err)
		assert.True(t, apierrors.IsForbidden(err))
		assert.ErrorContains(t, err, "creating definition autoscalingpolicies.workload.serving.volcano.sh: ")
	})

	t.Run("stops when its context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, Install(ctx, cluster.Config), context.Canceled)
	})
}

// A real API server establishes a definition too fast for a test to see it wait, so here is one that takes its time.
func TestInstallWaitsUntilEveryDefinitionIsEstablished(t *testing.T) {
	asked := map[string]int{} // Install asks one question after the other
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		crd := apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if r.Method == http.MethodGet {
			asked[name]++
			status := apiextensionsv1.ConditionFalse
			if asked[name] == 3 {
				status = apiextensionsv1.ConditionTrue
			}
			crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: status}}
		}
		w.Header().Set("Content-Type", "application/json")
		assert.NoError(t, json.NewEncoder(w).Encode(crd))
	}))
	defer server.Close()
	require.NoError(t, Install(t.Context(), &rest.Config{Host: server.URL, QPS: -1}))
	assert.Equal(t, map[string]int{
		"modelboosters.workload.serving.volcano.sh":       3,
		"autoscalingpolicies.workload.serving.volcano.sh": 3,
		"modelservings.workload.serving.volcano.sh":       3,
		"modelroutes.networking.serving.volcano.sh":       3,
		"modelservers.networking.serving.volcano.sh":      3,
	}, asked)
}
