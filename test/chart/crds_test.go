package chart

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/internal/sample"
	"github.com/volcano-sh/kthena-certgen/test/rig/crds"
)

func TestTheKindsOfKthena(t *testing.T) {
	all, err := crds.All()
	require.NoError(t, err)
	byResource := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, crd := range all {
		byResource[crd.Spec.Names.Plural] = crd
	}
	require.Len(t, byResource, 5)

	t.Run("take the samples of Kthena v1.0.0, the invalid ones too", func(t *testing.T) {
		for resource, crd := range byResource {
			s := sample.Of(resource)[0]
			require.Equal(t, s.Kind, crd.Spec.Names.Kind)
			for _, spec := range []string{string(s.Valid), string(s.Invalid)} {
				// The API server may not have learnt yet that the release of the test before, and its webhooks, are gone.
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					require.NoError(c, dryRun(t, crd, spec, metav1.FieldValidationStrict), resource)
				}, 10*time.Second, 50*time.Millisecond)
			}
			for _, before := range sample.Of(resource)[1:] {
				err := dryRun(t, crd, string(before.Valid), metav1.FieldValidationIgnore)
				assert.True(t, apierrors.IsInvalid(err), "%s of an earlier version: %v", resource, err)
			}
		}
	})

	t.Run("require what those of Kthena v1.0.0 require", func(t *testing.T) {
		for resource, wrong := range map[string][][2]string{
			"modelboosters": {
				{`"backend":`, `"other":`}, {`"name":"sample",`, ""}, {`"type":"vLLM",`, ""}, {`"type":"vLLM"`, `"type":"x"`},
				{`"modelURI":"hf://kthena-certgen/sample",`, ""}, {"hf://", "x://"}, {`"replicas":1,"workers"`, `"workers"`},
				{`"replicas":1,"workers"`, `"replicas":-1,"workers"`}, {`"workers"`, `"others"`}, {`"type":"server"`, `"type":"x"`},
			},
			"autoscalingpolicies": {
				{`"name":"a",`, ""}, {`"name":"a"`, `"name":""`}, {`,"targetValue":"1"`, ""}, {`"targetValue":"1"`, `"targetValue":"x"`},
				{`"minReplicas":1,`, ""}, {`,"maxReplicas":1`, ""}, {`"maxReplicas":1`, `"maxReplicas":0`}, {`"targetRef"`, `"other"`},
			},
			"modelservings": {
				{`"template"`, `"other"`}, {`"roles"`, `"others"`}, {`"name":"sample","replicas"`, `"replicas"`}, {
					`"name":"sample","replicas"`, `"name":"longer-than-12","replicas"`,
				},
				{`"entryTemplate"`, `"other"`}, {`"workerReplicas":0,`, ""}, {`"containers"`, `"others"`}, {`"name":"sample","image"`, `"image"`},
			},
			"modelroutes": {
				{`"rules"`, `"others"`}, {`"targetModels"`, `"others"`}, {`"modelServerName"`, `"other"`}, {`"modelName":"sample"`, `"modelName":""`},
				{`{"modelServerName":"sample"}`, ""},
			},
			"modelservers": {
				{
					`"inferenceEngine":"vLLM",`, "",
				}, {`"vLLM"`, `"x"`}, {`"workloadSelector"`, `"other"`}, {`"port":8000`, ""}, {`"port":8000`, `"port":0`},
			},
		} {
			for _, change := range wrong {
				valid := string(sample.Of(resource)[0].Valid)
				require.Contains(t, valid, change[0], resource)
				err := dryRun(t, byResource[resource], strings.Replace(valid, change[0], change[1], 1), metav1.FieldValidationIgnore)
				assert.True(t, apierrors.IsInvalid(err), "%s with %q for %q: %v", resource, change[1], change[0], err)
			}
		}
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

// dryRun creates an object of a kind in a dry run. Fields that the definition lacks are an error by the validation Strict, and
// dropped by Ignore.
func dryRun(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition, spec, validation string) error {
	t.Helper()
	client, err := dynamic.NewForConfig(env.Config)
	require.NoError(t, err)
	version := schema.GroupVersion{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name}
	var decoded any
	require.NoError(t, json.Unmarshal([]byte(spec), &decoded), spec)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": version.String(), "kind": crd.Spec.Names.Kind,
		"metadata": map[string]any{"generateName": "test-"}, "spec": decoded,
	}}
	_, err = client.Resource(version.WithResource(crd.Spec.Names.Plural)).Namespace(metav1.NamespaceDefault).
		Create(t.Context(), object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: validation})
	return err
}
