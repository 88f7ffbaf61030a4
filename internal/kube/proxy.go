package kube

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// proxied is a transport that says of a request that failed that it went to a proxy. Nobody thinks of it by himself: HTTPS_PROXY
// is often set for all pods, and what the proxy answers is about an address that the cluster alone knows.
type proxied struct {
	next http.RoundTripper
	// by says which proxy it is, and what to do when it is the wrong way.
	by string
}

// nameProxy makes the errors of requests with cfg name the proxy, when one is used.
func nameProxy(cfg *rest.Config) {
	host, err := url.Parse(cfg.Host)
	if err != nil || host.Host == "" {
		return // an error for who makes the client
	}
	find, source, remedy := cfg.Proxy, "the kubeconfig's proxy-url", ""
	if find == nil {
		find, source = http.ProxyFromEnvironment, proxyVariable()
		remedy = fmt.Sprintf(", add %s to NO_PROXY if it is reached without", host.Hostname())
	}
	proxy, err := find(&http.Request{URL: host})
	if err != nil || proxy == nil {
		return
	}
	by := fmt.Sprintf("by the proxy %s of %s%s", proxy.Redacted(), source, remedy)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return &proxied{next, by} })
}

// proxyVariable is the variable that http.ProxyFromEnvironment takes the proxy for HTTPS from.
func proxyVariable() string {
	if os.Getenv("HTTPS_PROXY") == "" {
		return "https_proxy"
	}
	return "HTTPS_PROXY"
}

// RoundTrip implements http.RoundTripper.
func (p *proxied) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.next.RoundTrip(req)
	if err != nil {
		return nil, &proxyError{p.by, err}
	}
	return resp, nil
}

// proxyError says which way a request took that failed.
type proxyError struct {
	by string
	error
}

func (e *proxyError) Error() string { return e.by + ": " + e.error.Error() }
func (e *proxyError) Unwrap() error { return e.error }

// WrappedRoundTripper lets client-go find the transport inside.
func (p *proxied) WrappedRoundTripper() http.RoundTripper { return p.next }

// timeout is how long a request may take, zero for ever.
func (a Access) timeout() (time.Duration, error) {
	if a.Overrides.Timeout == "" {
		return 0, nil
	}
	d, err := clientcmd.ParseTimeout(a.Overrides.Timeout)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--request-timeout %q is not a time: use 0, or a number with a unit such as 30s", a.Overrides.Timeout)
	}
	return d, nil
}
