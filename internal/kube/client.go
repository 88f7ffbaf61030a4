// Package kube is the program's way to the API server: typed access to the few kinds of object it handles, over
// plain REST clients with a scheme of just these kinds (the whole clientset would double the binary and its memory, the core
// group's own types would add a quarter to the binary; see package core), and a transport that rides out an API server that is
// overloaded, restarting or gone for a while.
package kube

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// Client reads and writes Secrets and webhook configurations, and records Events.
type Client struct {
	groups     map[string]*rest.RESTClient // by the name of the group
	parameters runtime.ParameterCodec
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
	c := &Client{groups: map[string]*rest.RESTClient{}, parameters: runtime.NewParameterCodec(scheme)}
	for _, group := range []struct {
		gv                schema.GroupVersion
		path, contentType string
	}{
		// Protobuf is read by generated code, which the types of package core do not have; the JSON decoder looks at every field of every
		// type first.
		{core.GroupVersion, "/api", runtime.ContentTypeJSON},
		{admissionv1.SchemeGroupVersion, "/apis", runtime.ContentTypeProtobuf},
	} {
		if c.groups[group.gv.Group], err = restClient(cfg, group.gv, group.path, group.contentType, client); err != nil {
			return nil, err
		}
	}
	return c, nil
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
