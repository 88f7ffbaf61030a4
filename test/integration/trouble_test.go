package integration

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// trouble is what happens to the first request of each method and path, or to all.
type trouble struct {
	status     int
	retryAfter string
	// hangUp breaks the connection instead of answering; after says that it does so when the API server has done its work.
	hangUp, after bool
	always        bool
	// delay is how late the API server's own answers are.
	delay time.Duration
}

// troubledProxy stands between the program and the API server.
type troubledProxy struct {
	*httptest.Server
	troubled atomic.Int32
}

func (p *troubledProxy) ca() []byte { return caOf(p.Server) }

func newTroubledProxy(t *testing.T, tr trouble) *troubledProxy {
	t.Helper()
	p := &troubledProxy{}
	var mu sync.Mutex
	seen := map[string]bool{}
	p.Server = newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		mu.Lock()
		first := !seen[r.Method+r.URL.Path]
		seen[r.Method+r.URL.Path] = true
		mu.Unlock()
		switch {
		case !first && !tr.always:
			forward.ServeHTTP(w, r)
		case tr.delay > 0:
			p.troubled.Add(1)
			time.Sleep(tr.delay)
			forward.ServeHTTP(w, r)
		case tr.hangUp:
			p.troubled.Add(1)
			if tr.after {
				forward.ServeHTTP(httptest.NewRecorder(), r)
			}
			panic(http.ErrAbortHandler)
		default:
			p.troubled.Add(1)
			if tr.retryAfter != "" {
				w.Header().Set("Retry-After", tr.retryAfter)
			}
			w.WriteHeader(tr.status)
		}
	})
	return p
}

func hostOf(t *testing.T, cfg *rest.Config) string {
	t.Helper()
	u, _, err := rest.DefaultServerUrlFor(cfg)
	require.NoError(t, err)
	return u.Host
}
