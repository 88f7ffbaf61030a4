package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// entry is one webhook of either kind of configuration, in one form.
type entry struct {
	// kind is mutating or validating.
	kind, configuration string
	webhook             admissionv1.ValidatingWebhook
}

// entries are the webhooks of all configurations.
func entries(objects []object) []entry {
	var list []entry
	for _, c := range all[*admissionv1.MutatingWebhookConfiguration](objects) {
		for _, w := range c.Webhooks {
			list = append(list, entry{"mutating", c.Name, admissionv1.ValidatingWebhook{
				Name: w.Name, ClientConfig: w.ClientConfig, Rules: w.Rules, FailurePolicy: w.FailurePolicy, MatchPolicy: w.MatchPolicy,
				SideEffects: w.SideEffects, TimeoutSeconds: w.TimeoutSeconds, AdmissionReviewVersions: w.AdmissionReviewVersions,
			}})
		}
	}
	for _, c := range all[*admissionv1.ValidatingWebhookConfiguration](objects) {
		for _, w := range c.Webhooks {
			list = append(list, entry{"validating", c.Name, w})
		}
	}
	return list
}

func TestWebhookEntriesAreThoseOfKthena(t *testing.T) {
	want := []string{
		"mutating kthena-registry-mutating-webhook: /mutate/modelbooster workload.serving.volcano.sh/modelboosters",
		"mutating kthena-registry-mutating-webhook: /mutate/autoscalingpolicy workload.serving.volcano.sh/autoscalingpolicies",
		"validating kthena-registry-validating-webhook: /validate/modelbooster workload.serving.volcano.sh/modelboosters",
		"validating kthena-registry-validating-webhook: /validate/autoscalingpolicy workload.serving.volcano.sh/autoscalingpolicies",
		"validating kthena-workload-validating-webhook: /validate-workload-ai-v1alpha1-modelserving workload.serving.volcano.sh/modelservings",
		"validating kthena-networking-validating-webhook: /validate/modelroute networking.serving.volcano.sh/modelroutes",
		"validating kthena-networking-validating-webhook: /validate/modelserver networking.serving.volcano.sh/modelservers",
	}
	var got []string
	for _, e := range entries(render(t, "{}")) {
		require.Len(t, e.webhook.Rules, 1)
		rule := e.webhook.Rules[0]
		got = append(got, fmt.Sprintf("%s %s: %s %s/%s", e.kind, e.configuration, *e.webhook.ClientConfig.Service.Path,
			strings.Join(rule.APIGroups, ","), strings.Join(rule.Resources, ",")))

		assert.Equal(t, []admissionv1.OperationType{admissionv1.Create, admissionv1.Update}, rule.Operations)
		assert.Equal(t, []string{"v1alpha1"}, rule.APIVersions)
		assert.Equal(t, admissionv1.NamespacedScope, *rule.Scope)
		assert.Equal(t, []string{"v1"}, e.webhook.AdmissionReviewVersions)
		assert.Equal(t, admissionv1.SideEffectClassNone, *e.webhook.SideEffects)
		assert.Equal(t, admissionv1.Equivalent, *e.webhook.MatchPolicy)
		assert.Equal(t, admissionv1.Fail, *e.webhook.FailurePolicy)
		assert.EqualValues(t, 10, *e.webhook.TimeoutSeconds)
	}
	assert.ElementsMatch(t, want, got)
}

func TestNamesOfWebhookEntriesAreUniqueDomainNames(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range entries(render(t, "{}")) {
		assert.Empty(t, validation.IsFullyQualifiedName(field.NewPath("name"), e.webhook.Name), "what the API server asks for")
		key := e.configuration + "/" + e.webhook.Name
		assert.False(t, seen[key], key)
		seen[key] = true
	}
}

// An entry works when its Service selects pods that serve the port. In auto mode, certgen in those pods has to give the
// entry its CA and the certificate the Service's name.
func TestEveryWebhookEntryIsCovered(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			objects := renderOptions(t, c.options)
			for _, e := range entries(objects) {
				reference := e.webhook.ClientConfig.Service
				require.NotNil(t, reference, e.webhook.Name)
				assert.Equal(t, c.options.Namespace, reference.Namespace)
				service := named[*corev1.Service](t, objects, reference.Name)
				assert.Equal(t, c.options.Namespace, service.Namespace)
				pod := selected(t, objects, service)
				assertServes(t, service, *reference.Port, pod)

				if mode(c) != "auto" {
					continue
				}
				certgen := container(t, pod.InitContainers, "certgen")
				assert.Contains(t, certgen.Args, "--"+e.kind+"-webhook-configuration="+e.configuration)
				// The API server asks for this name.
				assert.Contains(t, certgen.Args, "--dns-name="+service.Name+"."+service.Namespace+".svc")
			}
		})
	}
}

// selected is the one pod template that the Service selects.
func selected(t *testing.T, objects []object, service *corev1.Service) corev1.PodSpec {
	t.Helper()
	found := slices.DeleteFunc(all[*appsv1.Deployment](objects), func(d *appsv1.Deployment) bool {
		return !selects(service.Spec.Selector, d.Spec.Template.ObjectMeta)
	})
	require.Len(t, found, 1, "Deployments that Service %s selects", service.Name)
	return found[0].Spec.Template.Spec
}

// assertServes checks that the Service leads its port to a port of the pod's server.
func assertServes(t *testing.T, service *corev1.Service, port int32, pod corev1.PodSpec) {
	t.Helper()
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port })
	require.GreaterOrEqual(t, i, 0, "Service %s has no port %d", service.Name, port)
	target := service.Spec.Ports[i].TargetPort.StrVal
	require.Len(t, pod.Containers, 1)
	assert.True(t, slices.ContainsFunc(pod.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == target }),
		"the container has no port %q", target)
}

func TestPodsAreReplacedWhenAWebhookEntryChanges(t *testing.T) {
	const annotation = "checksum/webhooks"
	checksum := func(t *testing.T, deployment, values string) string {
		t.Helper()
		sum := named[*appsv1.Deployment](t, render(t, values), deployment).Spec.Template.Annotations[annotation]
		require.Regexp(t, "^[0-9a-f]{64}$", sum)
		return sum
	}
	for deployment, path := range map[string]string{
		"kthena-registry": "{registry: {controllerManager: %s}}",
		"kthena-workload": "{workload: {controllerManager: %s}}",
		"kthena-router":   "{networking: {kthenaRouter: %s}}",
	} {
		before := checksum(t, deployment, "{}")
		for _, value := range []string{"{webhook: {timeoutSeconds: 7}}", "{webhook: {failurePolicy: Ignore}}"} {
			t.Run(deployment+" has another checksum with "+value, func(t *testing.T) {
				assert.NotEqual(t, before, checksum(t, deployment, fmt.Sprintf(path, value)))
			})
		}
		for _, value := range []string{
			"{replicas: 3}", "{webhook: {port: 9443}}", "{image: {tag: v9.9.9}}", "{podLabels: {a: b}}",
			"{podAnnotations: {checksum/webhooks: mine}}",
		} {
			t.Run(deployment+" has the same checksum with "+value, func(t *testing.T) {
				assert.Equal(t, before, checksum(t, deployment, fmt.Sprintf(path, value)))
			})
		}
	}
}

func TestWithoutWebhooksNothingOfThemIsLeft(t *testing.T) {
	objects := render(t, webhooksOff)
	assert.Empty(t, entries(objects))
	for _, d := range all[*appsv1.Deployment](objects) {
		pod := d.Spec.Template.Spec
		assert.Empty(t, pod.InitContainers, d.Name)
		assert.Contains(t, pod.Containers[0].Args, "--enable-webhook=false", d.Name)
		assert.NotContains(t, d.Spec.Template.Annotations, "checksum/webhooks", d.Name)
		for _, arg := range pod.Containers[0].Args {
			assert.NotRegexp(t, "tls|cert", arg, d.Name)
		}
		for _, v := range pod.Volumes {
			assert.NotEqual(t, "webhook-certs", v.Name, d.Name)
		}
	}
	for _, s := range all[*corev1.Service](objects) {
		assert.Equal(t, "kthena-router", s.Name)
	}
}

const webhooksOff = `{registry: {controllerManager: {webhook: {enabled: false}}},
  workload: {controllerManager: {webhook: {enabled: false}}},
	networking: {kthenaRouter: {webhook: {enabled: false}}}}`

// certgen waits for the annotation that its pod names, so each configuration that it is to change must have it in auto mode, and
// none in another, where a switch to auto mode has to bring it. TestPodsAreReplacedWhenAWebhookEntryChanges says when it changes.
func TestTheAnnotationThatCertgenWaitsForIsThereInAutoModeOnly(t *testing.T) {
	const annotation = "certgen.kthena.volcano.sh/webhooks"
	for mode, values := range map[string]string{
		"auto": "{}", "cert-manager": "{global: {certManagementMode: cert-manager}}", "manual": manual(t, ""),
	} {
		t.Run(mode, func(t *testing.T) {
			objects := render(t, values)
			configurations := 0
			for _, o := range objects {
				if !strings.HasSuffix(o.GetObjectKind().GroupVersionKind().Kind, "WebhookConfiguration") {
					continue
				}
				configurations++
				sum, found := o.GetAnnotations()[annotation]
				assert.Equal(t, mode == "auto", found, o.GetName())
				if found {
					pod := named[*appsv1.Deployment](t, objects, o.GetLabels()["app.kubernetes.io/component"]).Spec.Template
					assert.Contains(t, container(t, pod.Spec.InitContainers, "certgen").Args, "--await-annotation="+annotation+"="+sum, o.GetName())
					assert.Equal(t, pod.Annotations["checksum/webhooks"], sum, o.GetName())
				}
			}
			assert.Equal(t, 4, configurations)
		})
	}
}
