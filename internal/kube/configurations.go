package kube

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

func (c *Client) mutating() *objects[admissionv1.MutatingWebhookConfiguration, *admissionv1.MutatingWebhookConfiguration] {
	return objectsOf[admissionv1.MutatingWebhookConfiguration](c, resource.MutatingWebhookConfigurations, "")
}

func (c *Client) validating() *objects[admissionv1.ValidatingWebhookConfiguration, *admissionv1.ValidatingWebhookConfiguration] {
	return objectsOf[admissionv1.ValidatingWebhookConfiguration](c, resource.ValidatingWebhookConfigurations, "")
}

// ConfigurationsOf is the API of a kind, webhook.Mutating or webhook.Validating.
func (c *Client) ConfigurationsOf(kind string) webhook.API {
	if kind == webhook.Mutating {
		return webhook.MutatingAPI(c.mutating())
	}
	return webhook.ValidatingAPI(c.validating())
}

// WebhookConfigurations lists those of both kinds that a label selector matches, the mutating first.
func (c *Client) WebhookConfigurations(ctx context.Context, selector string) ([]WebhookConfiguration, error) {
	var mutating admissionv1.MutatingWebhookConfigurationList
	if err := c.mutating().list(ctx, selector, &mutating); err != nil {
		return nil, err
	}
	var validating admissionv1.ValidatingWebhookConfigurationList
	if err := c.validating().list(ctx, selector, &validating); err != nil {
		return nil, err
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
	var err error
	if kind == webhook.Mutating {
		_, err = c.mutating().Patch(ctx, name, types.JSONPatchType, body, opts)
	} else {
		_, err = c.validating().Patch(ctx, name, types.JSONPatchType, body, opts)
	}
	return err
}
