package integration

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The program that is shipped links one implementation of HTTP/2, by a build tag that the tests of the packages lack.
func TestABootstrapMakesItsRequestsOverOneConnectionOfHTTP2(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createConfigurations(t)
	var connections atomic.Int32
	var protocols sync.Map
	http1 := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		protocols.Store(r.Proto, true)
		forward.ServeHTTP(w, r)
	})
	p := httptest.NewUnstartedServer(http1.Config.Handler)
	p.EnableHTTP2 = true
	p.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	p.StartTLS()
	t.Cleanup(p.Close)
	s.kubeconfig = s.writeKubeconfig(t, p.URL, caOf(p))
	s.bootstrap(t.Context(), t).requireDone(t, "created")
	assert.EqualValues(t, 1, connections.Load())
	protocols.Range(func(protocol, _ any) bool { return assert.Equal(t, "HTTP/2.0", protocol) })
}
