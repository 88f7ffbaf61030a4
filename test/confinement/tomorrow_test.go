package confinement

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// tomorrow is the group of kinds that may have any field, as those of Kubernetes may one day.
const tomorrow = "tomorrow.example.com"

// fates are what may become of a field somewhere in an object.
var fates = []edit{
	{name: "a field more", do: func(o map[string]any) { o["another"] = "x" }},
	{name: "a field less", do: func(o map[string]any) { delete(o, "field") }},
	{name: "another value of a field", do: func(o map[string]any) { o["field"] = map[string]any{"a": []any{"b"}} }},
}

func TestAFieldThatKubernetesAddsIsGuarded(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		policy, plural, object string
		// places are where an object may have fields of tomorrow, by what they are called.
		places map[string]func(o map[string]any) map[string]any
		// may and mayNot are what the account may do to the fields of today, and what not.
		may, mayNot []edit
	}{
		{
			policy: "kthena-certgen-webhooks", plural: "configurations",
			object: `{"field":"x","webhooks":[{"name":"a","field":"x","clientConfig":{"caBundle":"x","field":"x"}},{"name":"b","clientConfig":{}}]}`,
			places: map[string]func(o map[string]any) map[string]any{
				"the configuration": func(o map[string]any) map[string]any { return o },
				"an entry":          entry,
				"a clientConfig":    func(o map[string]any) map[string]any { return in(entry(o), "clientConfig") },
			},
			may: []edit{
				{name: "a caBundle beside an empty one", do: func(o map[string]any) { in(entry(o), "clientConfig")["caBundle"] = "y" }},
			},
			mayNot: []edit{
				{name: "no caBundle beside an empty one", do: func(o map[string]any) { delete(in(entry(o), "clientConfig"), "caBundle") }},
			},
		},
		{
			policy: "kthena-certgen-deployments", plural: "rollouts",
			object: `{"field":"x","spec":{"field":"x","template":{"field":"x","metadata":{"field":"x","annotations":{"field":"x"}}}}}`,
			places: map[string]func(o map[string]any) map[string]any{
				"the Deployment":          func(o map[string]any) map[string]any { return o },
				"its specification":       func(o map[string]any) map[string]any { return in(o, "spec") },
				"the template":            func(o map[string]any) map[string]any { return in(o, "spec", "template") },
				"the metadata of pods":    func(o map[string]any) map[string]any { return in(o, "spec", "template", "metadata") },
				"the annotations of pods": func(o map[string]any) map[string]any { return in(o, "spec", "template", "metadata", "annotations") },
			},
			may: []edit{{name: "the annotation of the certificate", do: func(o map[string]any) {
				in(o, "spec", "template", "metadata", "annotations")[certificateAnnotation] = "sha256:0"
			}}},
		},
	} {
		t.Run(c.policy, func(t *testing.T) {
			path := s.kindOfTomorrow(t, c.plural, c.object) + "/" + newName
			refusedBy := s.copyPolicy(t, c.policy, c.plural)
			grant(t, s.Namespace, controller, rule(tomorrow, c.plural, nil, "*"))
			put := func(e edit) error {
				before := s.get(t, path)
				after := runtime.DeepCopyJSON(before)
				e.do(after)
				_, err := byPut.request(t, path, before, after).do(t, client(s.accounts[controller]), true)
				return err
			}
			for place, at := range c.places {
				for _, f := range fates {
					c.mayNot = append(c.mayNot, edit{name: f.name + " in " + place, do: func(o map[string]any) { f.do(at(o)) }})
				}
			}
			c.mayNot = slices.Concat(c.mayNot, ofHelm, ofMetadata)
			for i, e := range c.mayNot {
				if i == 0 {
					require.EventuallyWithT(t, func(col *assert.CollectT) { require.ErrorContains(col, put(e), refusal(refusedBy)) }, settling, poll)
				}
				err := put(e)
				assert.ErrorContains(t, err, refusal(refusedBy), e.name)
				assert.NotContains(t, fmt.Sprint(err), "resulted in error", e.name)
			}
			for _, e := range c.may {
				assert.NoError(t, put(e), e.name)
			}
		})
	}
}

// kindOfTomorrow adds a kind that may have any field, and one object of it, until the test ends. It returns the path of the collection.
func (s *stage) kindOfTomorrow(t *testing.T, plural, object string) string {
	t.Helper()
	clients, err := apiextensions.NewForConfig(env.Config)
	require.NoError(t, err)
	crds := clients.CustomResourceDefinitions()
	_, err = crds.Create(t.Context(), &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + tomorrow},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: tomorrow, Scope: apiextensionsv1.ClusterScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Kind: plural},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: ptr.To(true),
				}},
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, crds.Delete(context.WithoutCancel(t.Context()), plural+"."+tomorrow, metav1.DeleteOptions{}))
	})
	o := fromJSON(object).(map[string]any)
	o["apiVersion"], o["kind"] = tomorrow+"/v1", plural
	some := map[string]any{somebodys: "yes"}
	o["metadata"] = map[string]any{"name": newName, "labels": some, "annotations": some}
	collection := "/apis/" + tomorrow + "/v1/" + plural
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := request{verb: http.MethodPost, path: collection, body: encode(t, o)}.do(t, s.admin, false)
		require.NoError(c, err)
	}, settling, poll)
	return collection
}

// copyPolicy adds a policy like one of the chart's, for another kind, until the test ends. It returns its name.
func (s *stage) copyPolicy(t *testing.T, policy, plural string) string {
	t.Helper()
	api := env.Client.AdmissionregistrationV1()
	p, err := api.ValidatingAdmissionPolicies().Get(t.Context(), policy, metav1.GetOptions{})
	require.NoError(t, err)
	name := policy + "-" + plural
	p.ObjectMeta = metav1.ObjectMeta{Name: name}
	p.Spec.MatchConstraints.ResourceRules = []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.OperationAll},
		Rule:       admissionv1.Rule{APIGroups: []string{tomorrow}, APIVersions: []string{"v1"}, Resources: []string{plural}},
	}}}
	_, err = api.ValidatingAdmissionPolicies().Create(t.Context(), p, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = api.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, api.ValidatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}))
		require.NoError(t, api.ValidatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}))
	})
	return name
}
