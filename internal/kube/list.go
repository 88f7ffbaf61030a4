package kube

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// resources are the resources of the kinds of webhook configuration.
var resources = map[string]string{
	webhook.Mutating:   "mutatingwebhookconfigurations",
	webhook.Validating: "validatingwebhookconfigurations",
}

// ConfigurationsPath is the path in the API of webhook configurations of that kind.
func ConfigurationsPath(kind string) string {
	return "/apis/" + admissionv1.SchemeGroupVersion.String() + "/" + resources[kind]
}

// WebhookConfigurations lists those of both kinds that a label selector matches, the mutating first.
func (c *Client) WebhookConfigurations(ctx context.Context, selector string) ([]WebhookConfiguration, error) {
	var mutating admissionv1.MutatingWebhookConfigurationList
	var validating admissionv1.ValidatingWebhookConfigurationList
	for kind, list := range map[string]runtime.Object{webhook.Mutating: &mutating, webhook.Validating: &validating} {
		opts := metav1.ListOptions{LabelSelector: selector}
		if err := c.admission.Get().Resource(resources[kind]).VersionedParams(&opts, c.parameters).Do(ctx).Into(list); err != nil {
			return nil, fmt.Errorf("listing %s: %w", resources[kind], err)
		}
	}
	var all []WebhookConfiguration
	for _, o := range mutating.Items {
		all = append(all, ofMutating(&o))
	}
	for _, o := range validating.Items {
		all = append(all, ofValidating(&o))
	}
	return all, nil
}

// PatchWebhookConfiguration applies a JSON patch (RFC 6902) to the configuration of that kind and name.
func (c *Client) PatchWebhookConfiguration(ctx context.Context, kind, name string, body []byte, opts metav1.PatchOptions) error {
	return c.admission.Patch(types.JSONPatchType).Resource(resources[kind]).Name(name).VersionedParams(&opts, c.parameters).Body(body).Do(ctx).Error()
}
