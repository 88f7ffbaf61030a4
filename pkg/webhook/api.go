package webhook

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// API reads and patches the configurations of one kind, whichever kind that is. Those that MutatingAPI and ValidatingAPI return may be used
// by several goroutines, as far as their Client may.
type API interface {
	// Get reads a configuration.
	Get(ctx context.Context, name string) (*Snapshot, error)
	// Patch applies a strategic merge patch.
	Patch(ctx context.Context, name string, body []byte, fieldManager string) error
}

// Snapshot is what Trust has to know of a configuration.
type Snapshot struct {
	ResourceVersion string
	Annotations     map[string]string
	Entries         []Entry
}

// Entry is one webhook of a configuration.
type Entry struct {
	Name string
	// URL says that the API server calls a URL, and not a Service.
	URL      bool
	CABundle []byte
}

func entryOf(name string, c admissionv1.WebhookClientConfig) Entry {
	return Entry{Name: name, URL: c.URL != nil, CABundle: c.CABundle}
}

// byRoots reports whether the API server verifies the server by the roots of its own system: it calls a URL, and there is no bundle (API
// reference, WebhookClientConfig). A bundle with a CA of ours would take the place of those roots.
func (e Entry) byRoots() bool { return e.URL && len(e.CABundle) == 0 }

// Client is what is needed of a typed client; those of client-go are such.
type Client[T any] interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (T, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (T, error)
}

// MutatingAPI is the API of mutating webhook configurations.
func MutatingAPI(c Client[*admissionv1.MutatingWebhookConfiguration]) API {
	return api[*admissionv1.MutatingWebhookConfiguration]{c, func(o *admissionv1.MutatingWebhookConfiguration) *Snapshot {
		s := &Snapshot{ResourceVersion: o.ResourceVersion, Annotations: o.Annotations}
		for _, w := range o.Webhooks {
			s.Entries = append(s.Entries, entryOf(w.Name, w.ClientConfig))
		}
		return s
	}}
}

// ValidatingAPI is the API of validating webhook configurations.
func ValidatingAPI(c Client[*admissionv1.ValidatingWebhookConfiguration]) API {
	return api[*admissionv1.ValidatingWebhookConfiguration]{c, func(o *admissionv1.ValidatingWebhookConfiguration) *Snapshot {
		s := &Snapshot{ResourceVersion: o.ResourceVersion, Annotations: o.Annotations}
		for _, w := range o.Webhooks {
			s.Entries = append(s.Entries, entryOf(w.Name, w.ClientConfig))
		}
		return s
	}}
}

type api[T any] struct {
	client   Client[T]
	snapshot func(T) *Snapshot
}

func (a api[T]) Get(ctx context.Context, name string) (*Snapshot, error) {
	o, err := a.client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return a.snapshot(o), nil
}

func (a api[T]) Patch(ctx context.Context, name string, body []byte, fieldManager string) error {
	_, err := a.client.Patch(ctx, name, types.StrategicMergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}
