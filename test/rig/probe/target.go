// Package probe asks the API server to admit objects, as users do, and tells whether the webhooks behind it answered.
//
// Every webhook entry of a release is a [Target]: one object that the entry must admit and one that it must refuse, both
// valid for Kthena v1.0.0 and sent as dry-run creates, so nothing is stored. A refusal by the webhook is an answer like any other. Only a
// call that failed, because of a certificate, a closed port or a time-out, counts against the release.
package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/volcano-sh/kthena-certgen/internal/sample"
)

// The annotations that make the stand-in for Kthena's servers refuse an object, by the kind of webhook that refuses.
const (
	refuseMutation   = "kthena.test/refuse-mutation"
	refuseValidation = "kthena.test/refuse"
)

// Target is one webhook entry and where its objects go.
type Target struct {
	// Configuration and Entry are the names of the webhook configuration and of its entry.
	Configuration string
	Entry         string
	// Component is the value of the label app.kubernetes.io/component of the configuration.
	Component string
	// CABundle is the entry's when the target was found.
	CABundle []byte

	client dynamic.ResourceInterface
	valid  *unstructured.Unstructured
	refuse string
}

// Targets finds the webhook entries of a release by its label app.kubernetes.io/instance. Their objects go to namespace.
func Targets(ctx context.Context, cfg *rest.Config, release, namespace string) ([]Target, error) {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	f := &finder{namespace: namespace, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))}
	if f.dynamic, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	ofRelease := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release}
	mutating, err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, ofRelease)
	if err != nil {
		return nil, fmt.Errorf("listing mutating webhook configurations: %w", err)
	}
	for _, c := range mutating.Items {
		for _, w := range c.Webhooks {
			f.add(c.ObjectMeta, w.Name, w.ClientConfig.CABundle, w.Rules, refuseMutation)
		}
	}
	validating, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, ofRelease)
	if err != nil {
		return nil, fmt.Errorf("listing validating webhook configurations: %w", err)
	}
	for _, c := range validating.Items {
		for _, w := range c.Webhooks {
			f.add(c.ObjectMeta, w.Name, w.ClientConfig.CABundle, w.Rules, refuseValidation)
		}
	}
	return f.targets, f.err
}

type finder struct {
	namespace string
	mapper    meta.RESTMapper
	dynamic   dynamic.Interface
	targets   []Target
	err       error
}

// add appends the target of one entry, whose first rule says what kind of object it is called for.
func (f *finder) add(c metav1.ObjectMeta, entry string, bundle []byte, rules []admissionv1.RuleWithOperations, refuse string) {
	if f.err != nil {
		return
	}
	gvr := schema.GroupVersionResource{Group: rules[0].APIGroups[0], Version: rules[0].APIVersions[0], Resource: rules[0].Resources[0]}
	gvk, err := f.mapper.KindFor(gvr)
	if err != nil {
		f.err = fmt.Errorf("finding the kind of %s, which webhook %s of %s is called for: %w", gvr.GroupResource(), entry, c.Name, err)
		return
	}
	spec := map[string]any{}
	if samples := sample.Of(gvr.Resource); samples != nil {
		if err := json.Unmarshal(samples[0].Valid, &spec); err != nil {
			f.err = fmt.Errorf("reading the sample of %s: %w", gvr.Resource, err)
			return
		}
	}
	valid := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	valid.SetGroupVersionKind(gvk)
	valid.SetGenerateName("probe-")
	f.targets = append(f.targets, Target{
		Configuration: c.Name, Entry: entry, Component: c.Labels["app.kubernetes.io/component"], CABundle: bundle,
		client: f.dynamic.Resource(gvr).Namespace(f.namespace), valid: valid, refuse: refuse,
	})
}

// Send asks for one object to be created, the valid or the invalid one. It returns nil when the webhook has answered as
// it must, and else what went wrong: a *CallError when it was not asked successfully.
func (t Target) Send(ctx context.Context, valid bool) error {
	o := t.valid
	if !valid {
		o = o.DeepCopy()
		o.SetAnnotations(map[string]string{t.refuse: "true"})
	}
	_, err := t.client.Create(ctx, o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case valid && err == nil, !valid && t.refusedBy(err):
		return nil
	case err == nil:
		return fmt.Errorf("webhook %s admitted an object that it must refuse", t.Entry)
	case strings.Contains(err.Error(), "denied the request"):
		return fmt.Errorf("an object was refused that webhook %s must admit or refuse itself: %w", t.Entry, err)
	}
	return &CallError{err}
}

// refusedBy reports whether err is the refusal of the target's own entry, in the words of the API server.
func (t Target) refusedBy(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), fmt.Sprintf("admission webhook %q denied the request", t.Entry))
}

// CallError says that the API server could not ask a webhook, or could not be asked itself.
type CallError struct{ error }

func (e *CallError) Unwrap() error { return e.error }
