package webhook_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

func TestAnObjectServesTheNamespacesOfItsServices(t *testing.T) {
	t.Parallel()
	service := func(namespace string) admissionv1.WebhookClientConfig {
		return admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: namespace, Name: "s"}, CABundle: []byte(namespace)}
	}
	byURL := admissionv1.WebhookClientConfig{URL: ptr.To("https://example.com")}
	meta := metav1.ObjectMeta{Name: "x"}
	for kind, o := range map[string]webhook.Object{
		webhook.Mutating: webhook.NewMutating(&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.MutatingWebhook{
			{Name: "a", ClientConfig: byURL}, {Name: "b", ClientConfig: service("one")}, {Name: "c", ClientConfig: service("two")},
		}}),
		webhook.Validating: webhook.NewValidating(&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.ValidatingWebhook{
			{Name: "a", ClientConfig: byURL}, {Name: "b", ClientConfig: service("one")}, {Name: "c", ClientConfig: service("two")},
		}}),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, kind, o.Kind)
			assert.Equal(t, "x", o.Name)
			require.Len(t, o.Entries, 3)
			assert.Equal(t, "c", o.Entries[2].Name)
			assert.Equal(t, "two", o.Entries[2].Namespace)
			assert.Equal(t, "two", string(o.Entries[2].CABundle))
			assert.Empty(t, o.Entries[0].Namespace)
			assert.True(t, o.Serves("one"))
			assert.True(t, o.Serves("two"))
			assert.False(t, o.Serves("three"))
		})
	}
}

func TestAManagerGivesUpWhatItOwnsAndNothingElse(t *testing.T) {
	t.Parallel()
	client := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	own := func(c *webhook.Configuration, managers ...string) {
		for _, m := range managers {
			_, err := client.Patch(t.Context(), c.Name, types.MergePatchType, []byte(`{"metadata":{"labels":{"`+m+`":"x"}}}`), metav1.PatchOptions{FieldManager: m})
			require.NoError(t, err)
		}
	}
	managers := func(o *admissionv1.ValidatingWebhookConfiguration) []string {
		var all []string
		for _, f := range o.ManagedFields {
			all = append(all, f.Manager)
		}
		return all
	}
	disown := func(c *webhook.Configuration, manager string) (*admissionv1.ValidatingWebhookConfiguration, error) {
		body := webhook.NewValidating(get(t, c.Name)).Disown(manager)
		require.NotNil(t, body)
		return client.Patch(t.Context(), c.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: manager})
	}
	c := newConfiguration(t, webhook.Validating, nil)
	creator := get(t, c.Name).ManagedFields[0].Manager
	own(c, "one", "two", "three")
	before := get(t, c.Name)

	assert.Nil(t, webhook.NewValidating(before).Disown("nobody"))
	after, err := disown(c, "two")
	require.NoError(t, err)
	assert.NotContains(t, managers(after), "two")
	assert.Len(t, after.ManagedFields, len(before.ManagedFields)-1)
	assert.Equal(t, before.Labels, after.Labels)
	assert.Equal(t, before.Webhooks, after.Webhooks)

	_, err = client.Patch(t.Context(), c.Name, types.JSONPatchType, webhook.NewValidating(before).Disown("three"), metav1.PatchOptions{})
	require.True(t, apierrors.IsInvalid(err) || apierrors.IsConflict(err), "it has changed since: %v", err)

	for _, m := range []string{"one", "three"} {
		_, err = disown(c, m)
		require.NoError(t, err)
	}
	after, err = disown(c, creator)
	require.NoError(t, err)
	assert.Empty(t, after.ManagedFields, "nobody owns anything")
	assert.Equal(t, before.Labels, after.Labels)
}
