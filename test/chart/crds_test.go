package chart

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/test/crds"
)

func TestTheKindsOfKthena(t *testing.T) {
	t.Run("are served with any spec", func(t *testing.T) {
		client, err := dynamic.NewForConfig(env.Config)
		require.NoError(t, err)
		all, err := crds.All()
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
			// The API server may not have learnt yet that the release of the test before, and its webhooks, are gone.
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				created, err := resource.Create(t.Context(), object, metav1.CreateOptions{})
				require.NoError(c, err, crd.Name)
				assert.Equal(c, object.Object["spec"], created.Object["spec"], crd.Name)
			}, 10*time.Second, 50*time.Millisecond)
		}
		assert.Equal(t, map[string]string{
			"ModelBooster":      "workload.serving.volcano.sh/v1alpha1 modelboosters",
			"AutoscalingPolicy": "workload.serving.volcano.sh/v1alpha1 autoscalingpolicies",
			"ModelServing":      "workload.serving.volcano.sh/v1alpha1 modelservings",
			"ModelRoute":        "networking.serving.volcano.sh/v1alpha1 modelroutes",
			"ModelServer":       "networking.serving.volcano.sh/v1alpha1 modelservers",
		}, got)
	})

	t.Run("are left alone when they are there", func(t *testing.T) {
		require.NoError(t, crds.Install(t.Context(), env.Config))
	})

	t.Run("name the one that could not be defined", func(t *testing.T) {
		stranger := *env.Config
		stranger.Impersonate.UserName = "stranger"
		err := crds.Install(t.Context(), &stranger)
		require.Error(t, err)
		assert.True(t, apierrors.IsForbidden(err))
		assert.ErrorContains(t, err, "creating definition autoscalingpolicies.workload.serving.volcano.sh: ")
	})

	t.Run("are not waited for when the context has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, crds.Install(ctx, env.Config), context.Canceled)
	})
}
