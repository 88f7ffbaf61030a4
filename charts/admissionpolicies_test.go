package charts

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestEveryPolicyRefusesAndIsForServiceAccountsOfTheReleaseAlone(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			objects := renderOptions(t, c.options)
			policies := all[*admissionv1.ValidatingAdmissionPolicy](objects)
			if slices.Contains(identities(objects), "ServiceAccount/kthena-verify") {
				require.Len(t, policies, 6)
			}
			assert.Len(t, all[*admissionv1.ValidatingAdmissionPolicyBinding](objects), len(policies))
			for _, p := range policies {
				assert.Equal(t, ptr.To(admissionv1.Fail), p.Spec.FailurePolicy, p.Name)
				require.Len(t, p.Spec.MatchConditions, 1, p.Name)
				accounts, found := strings.CutPrefix(p.Spec.MatchConditions[0].Expression, "request.userInfo.username in [")
				require.True(t, found, p.Name)
				for _, account := range strings.Split(strings.TrimSuffix(accounts, "]"), ", ") {
					assert.Regexp(t, "^'system:serviceaccount:"+c.options.Namespace+":kthena-[a-z]+'$", account, p.Name)
				}
				for _, v := range p.Spec.Validations {
					assert.NotEmpty(t, v.Message, p.Name)
					// Without it the API server answers 422, as if the object were wrong.
					assert.Equal(t, ptr.To(metav1.StatusReasonForbidden), v.Reason, p.Name)
				}
				binding := named[*admissionv1.ValidatingAdmissionPolicyBinding](t, objects, p.Name)
				assert.Equal(t, admissionv1.ValidatingAdmissionPolicyBindingSpec{
					PolicyName: p.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
				}, binding.Spec)
			}
		})
	}
}

func TestEveryServiceAccountIsConfined(t *testing.T) {
	objects := render(t, "{}")
	writers := []string{
		"mutatingwebhookconfigurations", "validatingwebhookconfigurations", "secrets", "services", "services/*", "events",
	}
	for account, resources := range map[string][]string{
		"kthena-registry": writers,
		"kthena-workload": writers,
		"kthena-router":   writers,
		"kthena-certgen":  append([]string{"deployments", "deployments/*"}, writers...),
		"kthena-verify": {
			"modelboosters", "autoscalingpolicies", "modelservings", "modelroutes", "modelservers",
			"modelboosters/*", "autoscalingpolicies/*", "modelservings/*", "modelroutes/*", "modelservers/*",
		},
	} {
		assert.ElementsMatch(t, resources, confined(objects, account), account)
	}
	for _, a := range all[*corev1.ServiceAccount](objects) {
		assert.NotEmpty(t, confined(objects, a.Name), a.Name)
	}
}

// confined are the resources about which a policy judges an account's requests.
func confined(objects []object, account string) []string {
	var resources []string
	for _, p := range all[*admissionv1.ValidatingAdmissionPolicy](objects) {
		if strings.Contains(p.Spec.MatchConditions[0].Expression, "'system:serviceaccount:"+namespace+":"+account+"'") {
			for _, r := range p.Spec.MatchConstraints.ResourceRules {
				resources = append(resources, r.Resources...)
			}
		}
	}
	return resources
}

func TestThePoliciesAreTheSameInEveryMode(t *testing.T) {
	inAuto := all[*admissionv1.ValidatingAdmissionPolicy](render(t, "{}"))
	require.NotEmpty(t, inAuto)
	for _, values := range []string{"{global: {certManagementMode: cert-manager}}", manual(t, "")} {
		assert.Equal(t, inAuto, all[*admissionv1.ValidatingAdmissionPolicy](render(t, values)))
	}
}

func TestWithoutPoliciesNothingOfThemIsLeft(t *testing.T) {
	for name, values := range map[string]string{
		"since they are turned off":       "{global: {admissionPolicies: {enabled: false}}}",
		"since there are no certificates": webhooksOff,
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range render(t, values) {
				assert.NotContains(t, identity(o), "ValidatingAdmissionPolicy")
			}
		})
	}
}
