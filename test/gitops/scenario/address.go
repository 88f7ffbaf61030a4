package scenario

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// FreeAddress is an address of this machine that a program may listen on. It is free a moment later, too, unless somebody takes just
// this port: the kernel hands them out in turn.
func FreeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
