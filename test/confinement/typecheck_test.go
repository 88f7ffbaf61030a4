package confinement

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func TestTheTypesOfEveryExpressionAreRight(t *testing.T) {
	i := env.Prepare(t)
	_, err := i.Helm.Install(t.Context(), charttest.Release, env.Chart(), values(true), helm.ReleaseOptions{})
	require.NoError(t, err)
	client := env.Client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	// One whose types are wrong, so that it shows who looks at them.
	wrong, err := client.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "wrong-", Labels: map[string]string{"app.kubernetes.io/part-of": "kthena"}},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: nobodies()}}},
			Validations:      []admissionv1.Validation{{Expression: "object.nmae == ''"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, client.Delete(t.Context(), wrong.Name, metav1.DeleteOptions{})) }()

	var list *admissionv1.ValidatingAdmissionPolicyList
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		list, err = client.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=kthena"})
		require.NoError(c, err)
		require.Len(c, list.Items, 7)
		for _, p := range list.Items {
			assert.Equal(c, p.Generation, p.Status.ObservedGeneration, p.Name)
		}
	}, settling, poll)
	for _, p := range list.Items {
		warnings := ptr.Deref(p.Status.TypeChecking, admissionv1.TypeChecking{}).ExpressionWarnings
		if p.Name == wrong.Name {
			assert.NotEmpty(t, warnings)
		} else {
			assert.Empty(t, warnings, p.Name)
		}
	}
}

// nobodies is a rule for Secrets, of which the policy here judges none: it has no binding.
func nobodies() admissionv1.RuleWithOperations {
	return admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
	}
}
