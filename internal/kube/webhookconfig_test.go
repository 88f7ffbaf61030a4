package kube_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

func TestAConfigurationServesTheNamespacesOfItsServices(t *testing.T) {
	t.Parallel()
	createBothKinds(t, "kube-serves", map[string]admissionv1.WebhookClientConfig{
		"a.example.com": {URL: ptr.To("https://example.com")},
		"b.example.com": {Service: &admissionv1.ServiceReference{Namespace: "one", Name: "s"}},
		"c.example.com": {Service: &admissionv1.ServiceReference{Namespace: "two", Name: "s"}, CABundle: []byte("two")},
	})
	found := list(t, "kube-serves")
	require.Len(t, found, 2)
	assert.Equal(t, webhook.Mutating, found[0].Kind)
	assert.Equal(t, webhook.Validating, found[1].Kind)
	for _, c := range found {
		t.Run(c.Kind, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, "kube-serves", c.Name)
			bundles := map[string]string{}
			for _, e := range c.Entries {
				bundles[e.Name] = string(e.CABundle)
			}
			assert.Equal(t, map[string]string{"a.example.com": "", "b.example.com": "", "c.example.com": "two"}, bundles)
			assert.True(t, c.Serves("one"))
			assert.True(t, c.Serves("two"))
			assert.False(t, c.Serves("three"))
			assert.False(t, c.Serves(""))
		})
	}
}

func TestAManagerGivesUpWhatItOwnsAndNothingElse(t *testing.T) {
	t.Parallel()
	const name = "kube-disown"
	createBothKinds(t, name, map[string]admissionv1.WebhookClientConfig{
		"a.example.com": {Service: &admissionv1.ServiceReference{Namespace: "ns", Name: "s"}},
	})
	client := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	for _, m := range []string{"one", "two", "three"} {
		body := []byte(`{"metadata":{"annotations":{"` + m + `":"x"}}}`)
		_, err := client.Patch(t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: m})
		require.NoError(t, err)
	}
	read := func() kube.WebhookConfiguration { return list(t, name)[1] }
	managers := func(c kube.WebhookConfiguration) []string {
		var all []string
		for _, f := range c.ManagedFields {
			all = append(all, f.Manager)
		}
		return all
	}
	disown := func(c kube.WebhookConfiguration, manager string) error {
		body := c.Disown(manager)
		require.NotNil(t, body)
		return newClient(t).PatchWebhookConfiguration(t.Context(), c.Kind, name, body, metav1.PatchOptions{FieldManager: manager})
	}
	before := read()
	require.Len(t, before.ManagedFields, 4)
	creator := before.ManagedFields[0].Manager

	assert.Nil(t, before.Disown("nobody"))
	require.NoError(t, disown(before, "two"))
	after := read()
	assert.ElementsMatch(t, []string{creator, "one", "three"}, managers(after))
	assert.Equal(t, before.Annotations, after.Annotations)
	assert.Equal(t, before.Entries, after.Entries)

	err := disown(before, "three")
	require.True(t, apierrors.IsInvalid(err) || apierrors.IsConflict(err), "it has changed since: %v", err)

	for _, m := range []string{"one", "three", creator} {
		require.NoError(t, disown(read(), m))
	}
	after = read()
	assert.Empty(t, after.ManagedFields, "nobody owns anything")
	assert.Equal(t, before.Annotations, after.Annotations)
}

// The API server that the tests run takes an empty list for that, too; the API's reference says that it does not.
func TestWhoOwnsAllLeavesTheListThatTheAPIReferenceNames(t *testing.T) {
	t.Parallel()
	ours := []metav1.ManagedFieldsEntry{{Manager: "us", Operation: "Update"}, {Manager: "us", Operation: "Apply"}}
	c := kube.WebhookConfiguration{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7", ManagedFields: ours}}
	assert.JSONEq(t, `[
		{"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
		{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}
	]`, string(c.Disown("us")))
}

// createBothKinds makes a configuration of each kind with that name, and with these entries.
func createBothKinds(t *testing.T, name string, entries map[string]admissionv1.WebhookClientConfig) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": name}}
	mutating := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta}
	validating := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta}
	for entry, config := range entries {
		none := ptr.To(admissionv1.SideEffectClassNone)
		mutating.Webhooks = append(mutating.Webhooks, admissionv1.MutatingWebhook{
			Name: entry, AdmissionReviewVersions: []string{"v1"}, SideEffects: none, ClientConfig: config,
		})
		validating.Webhooks = append(validating.Webhooks, admissionv1.ValidatingWebhook{
			Name: entry, AdmissionReviewVersions: []string{"v1"}, SideEffects: none, ClientConfig: config,
		})
	}
	admission := cluster.Client.AdmissionregistrationV1()
	_, err := admission.MutatingWebhookConfigurations().Create(t.Context(), mutating, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = admission.ValidatingWebhookConfigurations().Create(t.Context(), validating, metav1.CreateOptions{})
	require.NoError(t, err)
}

// list are the configurations that createBothKinds has made.
func list(t *testing.T, name string) []kube.WebhookConfiguration {
	t.Helper()
	found, err := newClient(t).WebhookConfigurations(t.Context(), "test="+name)
	require.NoError(t, err)
	return found
}
