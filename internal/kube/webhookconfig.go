package kube

import (
	"encoding/json"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// WebhookConfiguration is a webhook configuration of either kind as it was listed.
type WebhookConfiguration struct {
	metav1.ObjectMeta
	// Kind is webhook.Mutating or webhook.Validating.
	Kind    string
	Entries []WebhookEntry
}

// WebhookEntry is one webhook of a configuration.
type WebhookEntry struct {
	Name string
	admissionv1.WebhookClientConfig
}

func ofMutating(o *admissionv1.MutatingWebhookConfiguration) WebhookConfiguration {
	c := WebhookConfiguration{ObjectMeta: o.ObjectMeta, Kind: webhook.Mutating}
	for _, w := range o.Webhooks {
		c.Entries = append(c.Entries, WebhookEntry{w.Name, w.ClientConfig})
	}
	return c
}

func ofValidating(o *admissionv1.ValidatingWebhookConfiguration) WebhookConfiguration {
	c := WebhookConfiguration{ObjectMeta: o.ObjectMeta, Kind: webhook.Validating}
	for _, w := range o.Webhooks {
		c.Entries = append(c.Entries, WebhookEntry{w.Name, w.ClientConfig})
	}
	return c
}

// Serves reports whether one of the entries calls a Service in the namespace.
func (c WebhookConfiguration) Serves(namespace string) bool {
	return slices.ContainsFunc(c.Entries, func(e WebhookEntry) bool { return e.Service != nil && e.Service.Namespace == namespace })
}

// Disown is the JSON patch (RFC 6902) by which a field manager gives up all that it owns of c without changing it, nil when
// it owns nothing. It carries the resourceVersion, so it meets a conflict when c has changed since it was read.
func (c WebhookConfiguration) Disown(manager string) []byte {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	const managedFields = "/metadata/managedFields"
	patch := []operation{{"replace", "/metadata/resourceVersion", c.ResourceVersion}}
	// From the end, so that the places of the others do not change.
	for i, f := range slices.Backward(c.ManagedFields) {
		if f.Manager == manager {
			patch = append(patch, operation{Op: "remove", Path: fmt.Sprintf("%s/%d", managedFields, i)})
		}
	}
	switch len(patch) - 1 {
	case 0:
		return nil
	case len(c.ManagedFields):
		// The API server takes an empty list for a client that does not know the field; this is how to say that nobody owns
		// anything (API reference, server-side apply, clearing managedFields).
		patch = append(patch[:1], operation{"replace", managedFields, []struct{}{{}}})
	}
	// Strings always marshal.
	body, _ := json.Marshal(patch)
	return body
}
