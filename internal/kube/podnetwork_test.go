package kube_test

import (
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/verify"
)

func TestAPodConnectsToEndpointsAndServicesByTheirAddress(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	var n kube.PodNetwork
	conn, err := n.DialEndpoint(t.Context(), "ns", verify.Endpoint{Pod: "pod", Address: "127.0.0.1", Port: port})
	require.NoError(t, err)
	assert.NoError(t, conn.Close())
	conn, err = n.DialService(t.Context(), "127.0.0.1", port)
	require.NoError(t, err)
	assert.NoError(t, conn.Close())
	_, err = n.DialService(t.Context(), "None", port)
	assert.ErrorIs(t, err, errors.ErrUnsupported, "a headless Service")
}

// Not parallel: it sets the environment.
func TestAPodIsWhereNoKubeconfigIsNamedAndTheClusterIsInTheEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		flag, env, host, port string
		want                  bool
	}{
		"a pod":                           {host: "10.0.0.1", port: "443", want: true},
		"a machine with ~/.kube/config":   {},
		"a machine with half a pod's":     {host: "10.0.0.1"},
		"a pod with the flag":             {flag: "/config", host: "10.0.0.1", port: "443"},
		"a pod with KUBECONFIG":           {env: "/config", host: "10.0.0.1", port: "443"},
		"a machine with the flag":         {flag: "/config"},
		"a machine with KUBECONFIG alone": {env: "/config"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", c.env)
			t.Setenv("KUBERNETES_SERVICE_HOST", c.host)
			t.Setenv("KUBERNETES_SERVICE_PORT", c.port)
			assert.Equal(t, c.want, kube.InPod(c.flag))
		})
	}
}
