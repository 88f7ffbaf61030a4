// Package kube is the program's way to the API server: typed access to the few kinds of object it handles, over
// plain REST clients with a scheme of just these kinds (the whole clientset would double the binary and its memory, the core
// group's own types would add a quarter to the binary; see package core), and a transport that rides out an API server that is
// overloaded, restarting or gone for a while.
package kube

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// Client reads and writes Secrets and webhook configurations, and records Events.
type Client struct {
	api, admission *rest.RESTClient // of the core group and of admissionregistration.k8s.io
	parameters     runtime.ParameterCodec
}

// New makes a client that speaks to the API server of cfg. Every request is retried until its context ends while the
// server cannot be reached or asks for patience; see [Retry].
func New(cfg *rest.Config, log *slog.Logger) (*Client, error) {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(core.GroupVersion, &core.Secret{}, &core.Event{})
	scheme.AddKnownTypes(admissionv1.SchemeGroupVersion,
		&admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{},
		&admissionv1.MutatingWebhookConfigurationList{}, &admissionv1.ValidatingWebhookConfigurationList{})
	for _, gv := range []schema.GroupVersion{core.GroupVersion, admissionv1.SchemeGroupVersion} {
		metav1.AddToGroupVersion(scheme, gv)
	}

	cfg = rest.CopyConfig(cfg)
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	// One run makes a handful of requests; the API server's own priority and fairness is what limits them.
	cfg.QPS = -1
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &clock{next: NewGate(next), now: time.Now, log: log}
	})
	next, err := authenticated(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", cfg.Host, err)
	}
	client := &http.Client{Transport: &Retry{Next: next, AttemptTimeout: attemptTimeout, Log: log}, Timeout: cfg.Timeout}
	c := &Client{parameters: runtime.NewParameterCodec(scheme)}
	if c.api, err = restClient(cfg, core.GroupVersion, "/api", runtime.ContentTypeJSON, client); err != nil {
		return nil, err
	}
	// Protobuf is read by generated code, which the types of package core do not have; the JSON decoder looks at every field of every
	// type first.
	c.admission, err = restClient(cfg, admissionv1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf, client)
	return c, err
}

// authenticated is the transport of cfg. A token from a file is read anew when the server does not accept it; client-go by itself takes
// what it has read for up to a minute.
func authenticated(cfg *rest.Config) (http.RoundTripper, error) {
	if cfg.BearerTokenFile == "" {
		return rest.TransportFor(cfg)
	}
	source := transport.NewCachedFileTokenSource(cfg.BearerTokenFile)
	if _, err := source.Token(); err != nil {
		return nil, err
	}
	cfg = rest.CopyConfig(cfg)
	cfg.BearerToken, cfg.BearerTokenFile = "", ""
	cfg.Wrap(transport.ResettableTokenSourceWrapTransport(source))
	return rest.TransportFor(cfg)
}

func restClient(cfg *rest.Config, gv schema.GroupVersion, path, contentType string, client *http.Client) (*rest.RESTClient, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.GroupVersion, cfg.APIPath = &gv, path
	cfg.AcceptContentTypes, cfg.ContentType = contentType, contentType
	c, err := rest.RESTClientForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s of %s: %w", gv, cfg.Host, err)
	}
	return c, nil
}

// Secrets is the Secrets of one namespace.
func (c *Client) Secrets(namespace string) secret.Client {
	return &resource[*core.Secret]{c, c.api, "secrets", namespace, func() *core.Secret { return &core.Secret{} }}
}

// ConfigurationsOf is the API of a kind, webhook.Mutating or webhook.Validating.
func (c *Client) ConfigurationsOf(kind string) webhook.API {
	if kind == webhook.Mutating {
		return c.MutatingWebhookConfigurations()
	}
	return c.ValidatingWebhookConfigurations()
}

// MutatingWebhookConfigurations is the API of that kind.
func (c *Client) MutatingWebhookConfigurations() webhook.API {
	return webhook.MutatingAPI(&resource[*admissionv1.MutatingWebhookConfiguration]{c, c.admission, "mutatingwebhookconfigurations", "",
		func() *admissionv1.MutatingWebhookConfiguration { return &admissionv1.MutatingWebhookConfiguration{} }})
}

// ValidatingWebhookConfigurations is the API of that kind.
func (c *Client) ValidatingWebhookConfigurations() webhook.API {
	return webhook.ValidatingAPI(&resource[*admissionv1.ValidatingWebhookConfiguration]{c, c.admission, "validatingwebhookconfigurations", "",
		func() *admissionv1.ValidatingWebhookConfiguration {
			return &admissionv1.ValidatingWebhookConfiguration{}
		}})
}

// resource is the objects of one resource. Its methods have the signatures of client-go's typed clients.
type resource[T interface {
	runtime.Object
	metav1.Object
}] struct {
	client    *Client
	rest      rest.Interface
	name      string
	namespace string // "" for cluster-scoped resources
	empty     func() T
}

func (r *resource[T]) to(req *rest.Request, name string, opts runtime.Object) *rest.Request {
	req = req.NamespaceIfScoped(r.namespace, r.namespace != "").Resource(r.name).VersionedParams(opts, r.client.parameters)
	if name != "" {
		req = req.Name(name)
	}
	return req
}

func (r *resource[T]) do(ctx context.Context, req *rest.Request) (T, error) {
	o := r.empty()
	err := req.Do(ctx).Into(o)
	return o, err
}

func (r *resource[T]) Get(ctx context.Context, name string, opts metav1.GetOptions) (T, error) {
	return r.do(ctx, r.to(r.rest.Get(), name, &opts))
}

func (r *resource[T]) Create(ctx context.Context, o T, opts metav1.CreateOptions) (T, error) {
	return r.do(ctx, r.to(r.rest.Post(), "", &opts).Body(o))
}

func (r *resource[T]) Update(ctx context.Context, o T, opts metav1.UpdateOptions) (T, error) {
	return r.do(ctx, r.to(r.rest.Put(), o.GetName(), &opts).Body(o))
}

func (r *resource[T]) Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (T, error) {
	return r.do(ctx, r.to(r.rest.Patch(pt), name, &opts).SubResource(subresources...).Body(data))
}

func (r *resource[T]) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	return r.to(r.rest.Delete(), name, &metav1.DeleteOptions{}).Body(&opts).Do(ctx).Error()
}
