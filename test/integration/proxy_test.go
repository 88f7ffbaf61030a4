package integration

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// newProxy stands between the program and the API server and calls handle for each request; forward sends it on.
func newProxy(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, forward http.Handler)) *httptest.Server {
	t.Helper()
	tlsConfig, err := rest.TLSConfigFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: cluster.Config.CAData}})
	require.NoError(t, err)
	target := &url.URL{Scheme: "https", Host: hostOf(t, cluster.Config)}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{TLSClientConfig: tlsConfig},
	}
	p := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, forward) }))
	t.Cleanup(p.Close)
	return p
}

// caOf is the certificate that a client of p has to trust.
func caOf(p *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
}

// killable makes a run of the program through a proxy, which returns its exit code, -1 when it was killed, and what kills
// it and waits for its end, so that nothing more comes from it.
func (s *site) killable(t *testing.T, more []string) (run func(p *httptest.Server, dir string) int, kill func()) {
	t.Helper()
	var cmd *exec.Cmd
	ended := make(chan struct{})
	run = func(p *httptest.Server, dir string) int {
		direct := s.kubeconfig
		s.kubeconfig = s.writeKubeconfig(t, p.URL, caOf(p))
		cmd = exec.Command(certgen(t), append(s.arguments(dir), more...)...)
		s.kubeconfig = direct
		cmd.Env = []string{}
		if !assert.NoError(t, cmd.Start()) {
			return 0
		}
		_ = cmd.Wait()
		close(ended)
		return cmd.ProcessState.ExitCode()
	}
	var once sync.Once
	kill = func() {
		once.Do(func() { assert.NoError(t, cmd.Process.Kill()) })
		<-ended
	}
	return run, kill
}
