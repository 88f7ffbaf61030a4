package kube_test

import (
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
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
