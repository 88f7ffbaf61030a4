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
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

const injectAnnotation = "cert-manager.io/inject-ca-from"

// caBundle is that of testdata/manual.values.yaml.
func caBundle(t *testing.T) string {
	t.Helper()
	for _, c := range cases(t) {
		if c.name == "manual" {
			bundle, found, err := unstructured.NestedString(c.options.Values, "global", "webhook", "caBundle")
			require.NoError(t, err)
			require.True(t, found)
			return bundle
		}
	}
	require.Fail(t, "there is no case manual")
	return ""
}

func manual(t *testing.T, values string) string {
	t.Helper()
	return fmt.Sprintf("{global: {certManagementMode: manual, webhook: {caBundle: %s}}%s}", caBundle(t), values)
}

// Every set of values is rendered in every mode, and what belongs to a mode is in no other.
func TestNoModeRendersWhatBelongsToAnother(t *testing.T) {
	for _, c := range cases(t) {
		for _, mode := range []string{"auto", "cert-manager", "manual"} {
			t.Run(c.name+" in the mode "+mode, func(t *testing.T) {
				t.Parallel()
				o := c.options
				o.Values = runtime.DeepCopyJSON(o.Values)
				require.NoError(t, unstructured.SetNestedField(o.Values, mode, "global", "certManagementMode"))
				bundle := ""
				if mode == "manual" {
					bundle = caBundle(t)
				}
				require.NoError(t, unstructured.SetNestedField(o.Values, bundle, "global", "webhook", "caBundle"))
				unstructured.RemoveNestedField(o.Values, "registry", "controllerManager", "webhook", "caBundle")
				objects := renderOptions(t, o)

				webhooks := len(entries(objects)) > 0
				certificates := webhooks || c.name == "router-tls"
				assert.Equal(t, mode == "auto" && certificates, usesCertgen(objects), "certgen")
				assert.Equal(t, mode == "cert-manager" && certificates, usesCertManager(objects), "cert-manager")
				for _, e := range entries(objects) {
					assert.Equal(t, mode == "manual", e.webhook.ClientConfig.CABundle != nil, "caBundle of %s", e.webhook.Name)
				}
			})
		}
	}
}

// usesCertgen reports whether there is its container, a right that it needs or a Secret of its own.
func usesCertgen(objects []object) bool {
	for _, d := range all[*appsv1.Deployment](objects) {
		if len(d.Spec.Template.Spec.InitContainers) > 0 {
			return true
		}
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumMemory || v.Secret != nil &&
				strings.HasSuffix(v.Secret.SecretName, "-auto") {
				return true
			}
		}
	}
	// The pod of helm test reads the same in every mode.
	const helmTest = "kthena-verify"
	var granted []string
	for _, r := range all[*rbacv1.Role](objects) {
		if r.Name != helmTest {
			granted = append(granted, rules(r.Rules)...)
		}
	}
	for _, r := range all[*rbacv1.ClusterRole](objects) {
		if r.Name != helmTest {
			granted = append(granted, rules(r.Rules)...)
		}
	}
	return slices.ContainsFunc(granted, func(rule string) bool {
		// The controller reads webhook configurations in every mode.
		return strings.Contains(rule, "secrets: create") || strings.Contains(rule, admissionv1.GroupName) && strings.Contains(rule, "patch")
	})
}

// usesCertManager reports whether there is an object or an annotation of cert-manager's.
func usesCertManager(objects []object) bool {
	for _, o := range objects {
		if o.GetObjectKind().GroupVersionKind().Group == certManagerGroup || o.GetAnnotations()[injectAnnotation] != "" {
			return true
		}
	}
	return false
}

// The container that serves does not know the mode: its command, mounts and environment are the same in all of them.
// But for when it is asked for the first time: TestAPodIsReadyAfterTheInjectorInCertManagerMode.
func TestTheServerIsTheSameInEveryMode(t *testing.T) {
	const tls = "networking: {kthenaRouter: {tls: {enabled: true, dnsName: llm.example.com}}}"
	auto := components(render(t, "{"+tls+"}"))
	for mode, values := range map[string]string{
		"cert-manager": "{global: {certManagementMode: cert-manager}, " + tls + "}",
		"manual":       manual(t, ", "+tls),
	} {
		t.Run(mode, func(t *testing.T) {
			got := deployments(render(t, values))
			for name := range auto {
				got[name].Spec.Template.Spec.Containers[0].StartupProbe.InitialDelaySeconds = 0
				assert.Equal(t, auto[name].Spec.Template.Spec.Containers, got[name].Spec.Template.Spec.Containers, name)
			}
		})
	}
}

func TestPodsWaitForTheSecretOfAnotherMode(t *testing.T) {
	const tls = "networking: {kthenaRouter: {tls: {enabled: true, secretName: mine}}}"
	for mode, values := range map[string]string{
		"cert-manager": "{global: {certManagementMode: cert-manager}, " + tls + "}",
		"manual":       manual(t, ", "+tls),
	} {
		t.Run(mode, func(t *testing.T) {
			got := map[string]string{}
			for name, d := range components(render(t, values)) {
				for _, v := range d.Spec.Template.Spec.Volumes {
					if v.Secret != nil {
						got[name+" "+v.Name] = v.Secret.SecretName
						assert.Nil(t, v.Secret.Optional, "an optional Secret appears long after the pod has started")
						assert.EqualValues(t, 0o440, *v.Secret.DefaultMode, "the server reads it by its group")
					}
				}
			}
			assert.Equal(t, map[string]string{
				"kthena-registry webhook-certs": "registry-webhook-certs",
				"kthena-workload webhook-certs": "workload-webhook-certs",
				"kthena-router webhook-certs":   "networking-webhook-certs",
				"kthena-router router-certs":    "mine",
			}, got)
		})
	}
}

func TestManualModePutsTheCABundleIntoEveryEntry(t *testing.T) {
	bundle := caBundle(t)
	list := entries(render(t, manual(t, "")))
	require.Len(t, list, 7)
	for _, e := range list {
		assert.Equal(t, bundle, encode(e.webhook.ClientConfig.CABundle), e.webhook.Name)
	}
}

func TestAComponentCanHaveACABundleOfItsOwn(t *testing.T) {
	for _, c := range cases(t) {
		if c.name != "everything-manual" {
			continue
		}
		own, _, err := unstructured.NestedString(c.options.Values, "registry", "controllerManager", "webhook", "caBundle")
		require.NoError(t, err)
		require.NotEqual(t, caBundle(t), own)
		for _, e := range entries(renderOptions(t, c.options)) {
			want := caBundle(t)
			if strings.HasPrefix(e.configuration, "kthena-registry-") {
				want = own
			}
			assert.Equal(t, want, encode(e.webhook.ClientConfig.CABundle), e.webhook.Name)
		}
	}
}

// As OpenShift's service CA does it: it makes the Secret that a Service names, and puts its CA into webhook configurations.
func TestAnInjectorTakesThePlaceOfTheCABundle(t *testing.T) {
	objects := renderOptions(t, clusterValues(t)["openshift-service-ca"])
	for _, o := range objects {
		_, injected := o.GetAnnotations()["service.beta.openshift.io/inject-cabundle"]
		assert.Equal(t, strings.HasSuffix(o.GetObjectKind().GroupVersionKind().Kind, "WebhookConfiguration"), injected, identity(o))
	}
	for _, e := range entries(objects) {
		assert.Empty(t, e.webhook.ClientConfig.CABundle, "%s: each upgrade would take away what was injected", e.webhook.Name)
		service := named[*corev1.Service](t, objects, e.webhook.ClientConfig.Service.Name)
		secret := service.Annotations["service.beta.openshift.io/serving-cert-secret-name"]
		mounted := slices.ContainsFunc(
			selected(t, objects, service).Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == secret },
		)
		assert.True(t, mounted, "%s is what the pods of %s mount", secret, service.Name)
	}
	for name, c := range map[string]struct{ values, want string }{
		"in another mode": {"{global: {webhook: {injectorAnnotations: {a: b}}}}",
			"ERROR: global.webhook.injectorAnnotations is for manual mode alone: remove it, or set global.certManagementMode to manual"},
		"beside a CA bundle": {"{global: {certManagementMode: manual, webhook: {injectorAnnotations: {a: b}, caBundle: " + caBundle(t) + "}}}",
			"ERROR: global.webhook.injectorAnnotations and a caBundle are both set: leave one of them empty, since each would replace the " +
				"other's CA"},
		"beside a CA bundle of a component's own": {"{global: {certManagementMode: manual, webhook: {injectorAnnotations: {a: b}}}, " +
			"workload: {controllerManager: {webhook: {caBundle: " + caBundle(t) + "}}}}",
			"ERROR: global.webhook.injectorAnnotations and a caBundle are both set: leave one of them empty, since each would replace the " +
				"other's CA"},
	} {
		_, err := helm.Render(umbrella, options(t, c.values))
		assert.Equal(t, c.want, refusal(err), name)
	}
}
