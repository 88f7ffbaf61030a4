package chart

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// restrictedV2 are the rules of OpenShift's SecurityContextConstraints restricted-v2 that Pod Security's restricted has not: each namespace
// has a range of numbers of its own, so a pod that names one of another is refused. (OpenShift fills in those of the range afterwards; the
// pods of this cluster are processes that have none.)
//
// https://docs.redhat.com/en/documentation/openshift_container_platform/latest/html/authentication_and_authorization/managing-pod-security-policies
var restrictedV2 = []admissionv1.Validation{
	{
		Expression: "!has(object.spec.securityContext) || !has(object.spec.securityContext.fsGroup) && " +
			"!has(object.spec.securityContext.runAsUser)",
		Message: "fsGroup and runAsUser of the pod are not in the range of the namespace",
	},
	{
		Expression: "(object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])).all(c, " +
			"!has(c.securityContext) || !has(c.securityContext.runAsUser))",
		Message: "runAsUser of a container is not in the range of the namespace",
	},
	{
		Expression: "!has(object.spec.hostNetwork) || !object.spec.hostNetwork",
		Message:    "host networking is not allowed",
	},
	{
		Expression: "!has(object.spec.volumes) || object.spec.volumes.all(v, has(v.configMap) || has(v.downwardAPI) || has(v.emptyDir) || " +
			"has(v.ephemeral) || has(v.persistentVolumeClaim) || has(v.projected) || has(v.secret))",
		Message: "a volume of this kind is not allowed",
	},
}

func TestTheValuesForOpenShiftPassRestrictedV2(t *testing.T) {
	i := env.Prepare(t)
	enforce(t, i.Namespace, restrictedV2)
	i.Install(t, charttest.Merged(clusterValues(t, "openshift"), routerTLS))
	i.RequireNoRestarts(t)
	i.RequireAdmission(t, charttest.Entries)
}

// enforce refuses pods in a namespace that break a rule, and waits until the API server does.
func enforce(t *testing.T, namespace string, rules []admissionv1.Validation) {
	t.Helper()
	api := env.Client.AdmissionregistrationV1()
	_, err := api.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}}},
			Validations: rules,
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = api.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: namespace},
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		assert.NoError(t, api.ValidatingAdmissionPolicyBindings().Delete(ctx, namespace, metav1.DeleteOptions{}))
		assert.NoError(t, api.ValidatingAdmissionPolicies().Delete(ctx, namespace, metav1.DeleteOptions{}))
	})
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := env.Client.CoreV1().Pods(namespace).Create(t.Context(), fixedUser(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		assert.True(c, apierrors.IsInvalid(err), "%v", err)
		assert.ErrorContains(c, err, rules[0].Message)
	}, charttest.Wait.Timeout, 100*time.Millisecond)
}

// fixedUser is a pod that passes Pod Security's restricted and says who it is.
func fixedUser() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "fixed-user"},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "c", Image: "c",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

func TestWhatIsCommonIsOnTheSecretsThatCertgenWrites(t *testing.T) {
	i := env.Install(t, map[string]any{"global": map[string]any{
		"commonLabels": map[string]any{"team": "llm"}, "commonAnnotations": map[string]any{"contact": "a, b"},
	}})
	for subchart := range charttest.Subcharts {
		s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), subchart+"-webhook-certs-auto", metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, "llm", s.Labels["team"])
		assert.Equal(t, "a, b", s.Annotations["contact"])
	}
	// The policies are in force by now, and let the controller make one again.
	const name = "registry-webhook-certs-auto"
	secrets := env.Client.CoreV1().Secrets(i.Namespace)
	require.NoError(t, secrets.Delete(t.Context(), name, metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		s, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && s.Labels["team"] == "llm" && s.Annotations["contact"] == "a, b"
	}, time.Minute, 100*time.Millisecond)
}
