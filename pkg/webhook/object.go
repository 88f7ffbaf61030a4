package webhook

import (
	"encoding/json"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Object is a webhook configuration of either kind as it was read.
type Object struct {
	metav1.ObjectMeta
	Kind    string
	Entries []Entry
}

// NewMutating is o as an Object.
func NewMutating(o *admissionv1.MutatingWebhookConfiguration) Object {
	entries := make([]Entry, 0, len(o.Webhooks))
	for _, w := range o.Webhooks {
		entries = append(entries, entry(w.Name, w.ClientConfig))
	}
	return Object{o.ObjectMeta, Mutating, entries}
}

// NewValidating is o as an Object.
func NewValidating(o *admissionv1.ValidatingWebhookConfiguration) Object {
	entries := make([]Entry, 0, len(o.Webhooks))
	for _, w := range o.Webhooks {
		entries = append(entries, entry(w.Name, w.ClientConfig))
	}
	return Object{o.ObjectMeta, Validating, entries}
}

func entry(name string, c admissionv1.WebhookClientConfig) Entry {
	e := Entry{Name: name, URL: c.URL != nil, CABundle: c.CABundle}
	if c.Service != nil {
		e.Namespace = c.Service.Namespace
	}
	return e
}

// Serves reports whether one of the entries calls a Service in the namespace.
func (o Object) Serves(namespace string) bool {
	return slices.ContainsFunc(o.Entries, func(e Entry) bool { return e.Namespace == namespace })
}

// Disown is the JSON patch (RFC 6902) by which a field manager gives up all that it owns of o without changing it, nil when
// it owns nothing. It carries the resourceVersion, so it meets a conflict when o has changed since it was read.
func (o Object) Disown(manager string) []byte {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	const managedFields = "/metadata/managedFields"
	patch := []operation{{"replace", "/metadata/resourceVersion", o.ResourceVersion}}
	// From the end, so that the places of the others do not change.
	for i, f := range slices.Backward(o.ManagedFields) {
		if f.Manager == manager {
			patch = append(patch, operation{Op: "remove", Path: fmt.Sprintf("%s/%d", managedFields, i)})
		}
	}
	switch len(patch) - 1 {
	case 0:
		return nil
	case len(o.ManagedFields):
		// The API server takes an empty list for a client that does not know the field; this is how to say that nobody owns
		// anything (API reference, server-side apply, clearing managedFields).
		patch = append(patch[:1], operation{"replace", managedFields, []struct{}{{}}})
	}
	// Strings always marshal.
	body, _ := json.Marshal(patch)
	return body
}
