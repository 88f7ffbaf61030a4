package kube_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

func TestAForwardedPortIsNotWaitedForLongerThanTheContextSays(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
		_, _ = io.ReadFull(conn, make([]byte, 8)) // the header of the frame that asks for a stream
		close(asked)
		_, _ = io.Copy(io.Discard, conn) // and no answer
	}))
	t.Cleanup(server.Close)
	cfg := &rest.Config{Host: server.URL}
	raw, err := kube.NewRaw(cfg, time.Now)
	require.NoError(t, err)
	dialer, err := kube.NewPortForward(cfg, raw)
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := dialer.DialEndpoint(ctx, "ns", verify.Endpoint{Pod: "ending", Port: 8443})
		ended <- err
	}()
	<-asked
	cancel(errors.New("the controller ends"))
	select {
	case err := <-ended:
		assert.ErrorContains(t, err, "the controller ends")
	case <-time.After(15 * time.Second): // half of what SPDY's client waits
		require.Fail(t, "it is still waited for")
	}
}
