package controller

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// handler is what stands between a controller and the API server; forward sends a request on.
type handler func(w http.ResponseWriter, r *http.Request, forward http.Handler)

// newProxy stands between a controller and the API server and calls handle for each request.
func newProxy(t *testing.T, handle handler) *httptest.Server {
	t.Helper()
	tlsConfig, err := rest.TLSConfigFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: env.Config.CAData}})
	require.NoError(t, err)
	target, err := url.Parse("https://" + strings.TrimSuffix(strings.TrimPrefix(env.Config.Host, "https://"), "/"))
	require.NoError(t, err)
	// That connections end is what the tests do.
	quiet := log.New(io.Discard, "", 0)
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{TLSClientConfig: tlsConfig},
		ErrorLog:  quiet,
	}
	p := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, forward) }))
	p.Config.ErrorLog = quiet
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

// process is a controller that runs outside of the cluster with the rights of the one inside, which has been stopped.
type process struct {
	kubeconfig, config string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
	log   logBuffer
}

// logBuffer is a buffer that may be read while a process writes into it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// text is what it has logged so far.
func (c *process) text() string { return c.log.String() }

// hasEnded reports whether it does not run any more.
func (c *process) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// newProcess stops the controller of a release, and prepares one that reaches the API server through the proxy. The
// configuration is that of the release after change.
func newProcess(t *testing.T, i *charttest.Installation, p *httptest.Server, change func(string) string) *process {
	t.Helper()
	patch(t, i, deployment, `{"spec":{"replicas":0}}`)
	i.Settle(t)
	config, err := env.Client.CoreV1().ConfigMaps(i.Namespace).Get(t.Context(), deployment, metav1.GetOptions{})
	require.NoError(t, err)
	token, err := env.Client.CoreV1().ServiceAccounts(i.Namespace).CreateToken(
		t.Context(), deployment, &authenticationv1.TokenRequest{}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	dir := t.TempDir()
	c := &process{kubeconfig: filepath.Join(dir, "kubeconfig"), config: filepath.Join(dir, "config.yaml")}
	require.NoError(t, os.WriteFile(c.config, []byte(change(config.Data["config.yaml"])), 0o600))
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		Clusters:       map[string]*api.Cluster{"c": {Server: p.URL, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*api.AuthInfo{"u": {Token: token.Status.Token}},
		Contexts:       map[string]*api.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, c.kubeconfig))
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("the controller of the test:\n%s", c.text())
		}
	})
	return c
}

// start starts it.
func (c *process) start(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cmd = exec.Command(env.Program("kthena-certgen"), "controller", "--config", c.config, "--kubeconfig", c.kubeconfig,
		"--metrics-bind-address=0", "--health-probe-bind-address=0")
	c.cmd.Env, c.cmd.Stderr = []string{}, &c.log
	require.NoError(t, c.cmd.Start())
	c.ended = make(chan struct{})
	cmd, ended := c.cmd, c.ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
}

// kill ends it with no word, and waits until nothing more can come from it.
func (c *process) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil {
		_ = c.cmd.Process.Kill() // it may have ended
		<-c.ended
	}
}
