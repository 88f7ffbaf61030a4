package chart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// outside is the name that the router's clients outside the cluster know it by.
const outside = "models.example.com"

// routerTLS are values that make the router serve TLS.
var routerTLS = map[string]any{
	"networking": map[string]any{"kthenaRouter": map[string]any{"tls": map[string]any{"enabled": true, "dnsName": outside}}},
}

// requireRouterTLS requires that a client that trusts the CA in the Secret, and no other, reaches the router by each of its names.
func requireRouterTLS(t *testing.T, i *charttest.Installation, secret string) {
	t.Helper()
	s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), secret, metav1.GetOptions{})
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(s.Data["ca.crt"]))
	inside := "kthena-router." + i.Namespace + ".svc"
	for _, name := range []string{outside, inside, inside + ".cluster.local"} {
		assert.NoError(t, get(t, i.Namespace, name, trusted), name)
	}
	assert.ErrorContains(t, get(t, i.Namespace, "other.example.com", trusted), "x509: certificate is valid for")
	assert.ErrorContains(t, get(t, i.Namespace, outside, x509.NewCertPool()), "x509: certificate signed by unknown authority")
}

// get asks the router for its readiness by a name, as a client that trusts certain CAs.
func get(t *testing.T, namespace, name string, trusted *x509.CertPool) error {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		// Whatever the name, the Service is what a load balancer leads to.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return env.DialService(ctx, "kthena-router."+namespace+".svc", 80)
		},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+net.JoinHostPort(name, strconv.Itoa(80))+"/readyz", nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
	return nil
}
