package integration

import (
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

func TestAClockThatIsOffIsToldAndDoesNoHarm(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		server time.Duration // how far the API server's clock is from ours
		want   string
	}{
		"ahead of the API server's": {-10 * time.Minute, "ahead=10m"},
		"behind the API server's":   {10 * time.Minute, "ahead=-(10m|9m5)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.createConfigurations(t)
			p := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
				forward.ServeHTTP(dateWriter{w, tc.server}, r)
			})
			s.kubeconfig = s.writeKubeconfig(t, p.URL, caOf(p))
			o := s.bootstrap(t.Context(), t)
			o.requireDone(t, "created")
			assert.Regexp(t, `level=WARN msg="clock differs from the API server's: certificates are dated by the clock here" `+tc.want, o.stderr)
			b := gen.Bundle{CA: o.file(t, "ca.crt"), Cert: o.file(t, "tls.crt"), Key: o.file(t, "tls.key")}
			assert.Empty(t, gen.Check(b, nil, time.Now().Add(tc.server)).Faults, "by the API server's clock")
		})
	}
}

// dateWriter sets another Date than now.
type dateWriter struct {
	http.ResponseWriter
	off time.Duration
}

func (w dateWriter) WriteHeader(code int) {
	w.Header().Set("Date", time.Now().Add(w.off).UTC().Format(http.TimeFormat))
	w.ResponseWriter.WriteHeader(code)
}

// The API server itself is shared by the tests, so what stands before it goes away and comes back: to the program, the
// connections break, the port is closed, and then it is there again.
func TestAnAPIServerThatRestartsInTheMiddleIsRiddenOut(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"GET webhook-certs-auto", "POST secrets", "PATCH mutating", "PATCH validating"} {
		for name, after := range map[string]bool{"before ": false, "after ": true} {
			t.Run(name+point, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				s.createConfigurations(t)
				gate := newGate(t)
				var once sync.Once
				p := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
					hit := false
					if requestName(s, r) == point {
						once.Do(func() { hit = true })
					}
					if hit && after {
						forward.ServeHTTP(w, r)
					}
					if hit {
						gate.restart(time.Second)
						panic(http.ErrAbortHandler)
					}
					forward.ServeHTTP(w, r)
				})
				gate.open(p.Listener.Addr().String())
				s.kubeconfig = s.writeKubeconfig(t, "https://"+gate.address, caOf(p))
				o := s.bootstrap(t.Context(), t)
				o.requireDone(t, "created")
				s.requireTrusted(t, o)
				assert.Contains(t, o.stderr, "connection refused")
			})
		}
	}
}

func TestALossWhileServersRunIsMadeGoodByTheNextBootstrap(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lose   func(t *testing.T, s *site)
		reason string
	}{
		"of the Secret":         {func(t *testing.T, s *site) { s.deleteSecret(t) }, "created"},
		"of the Secret's data":  {func(t *testing.T, s *site) { s.changeSecret(t, empty) }, "repaired:malformed"},
		"of the Secret's sense": {func(t *testing.T, s *site) { s.changeSecret(t, garbage) }, "repaired:malformed"},
		"of the configurations": {func(t *testing.T, s *site) { s.deleteConfigurations(t); s.createConfigurations(t) }, "reused"},
		"of the bundles":        {func(t *testing.T, s *site) { s.setBundles(t, nil) }, "reused"},
		"of the bundles to a foreign CA": {func(t *testing.T, s *site) {
			s.setBundles(t, made(t, gen.DefaultValidity, time.Now(), "foreign.svc").CA)
		}, "reused"},
		"of the bundles' sense": {func(t *testing.T, s *site) {
			s.setBundles(t, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}, "reused"},
		"of all": {func(t *testing.T, s *site) { s.deleteSecret(t); s.deleteConfigurations(t); s.createConfigurations(t) }, "created"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.createConfigurations(t)
			first := s.bootstrap(t.Context(), t)
			first.requireDone(t, "created")
			tc.lose(t, s)
			begun := time.Now()
			o := s.bootstrap(t.Context(), t)
			t.Logf("made good in %s", time.Since(begun).Round(time.Millisecond))
			require.Equal(t, 0, o.code, o.stderr)
			assert.Equal(t, tc.reason, o.Reason)
			s.requireTrusted(t, o)
			if name != "of all" { // then nobody knows the old CA any more
				s.requireTrusted(t, first)
			}
		})
	}
}

func empty(s *corev1.Secret) {
	for name := range s.Data {
		s.Data[name] = nil
	}
}

func garbage(s *corev1.Secret) {
	for name := range s.Data {
		s.Data[name] = []byte("garbage")
	}
}

func (s *site) deleteConfigurations(t *testing.T) {
	t.Helper()
	client := cluster.Client.AdmissionregistrationV1()
	require.NoError(t, client.MutatingWebhookConfigurations().Delete(t.Context(), s.mutating, metav1.DeleteOptions{}))
	require.NoError(t, client.ValidatingWebhookConfigurations().Delete(t.Context(), s.validating, metav1.DeleteOptions{}))
}

func (s *site) setBundles(t *testing.T, bundle []byte) {
	t.Helper()
	client := cluster.Client.AdmissionregistrationV1()
	m, err := client.MutatingWebhookConfigurations().Get(t.Context(), s.mutating, metav1.GetOptions{})
	require.NoError(t, err)
	for i := range m.Webhooks {
		m.Webhooks[i].ClientConfig.CABundle = bundle
	}
	_, err = client.MutatingWebhookConfigurations().Update(t.Context(), m, metav1.UpdateOptions{})
	require.NoError(t, err)
	v, err := client.ValidatingWebhookConfigurations().Get(t.Context(), s.validating, metav1.GetOptions{})
	require.NoError(t, err)
	for i := range v.Webhooks {
		v.Webhooks[i].ClientConfig.CABundle = bundle
	}
	_, err = client.ValidatingWebhookConfigurations().Update(t.Context(), v, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// gate passes connections on, and can be shut as the port of a program that ends is.
type gate struct {
	t       *testing.T
	address string
	target  string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func newGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &gate{t: t, address: l.Addr().String(), listener: l}
	t.Cleanup(g.shut)
	return g
}

// open passes connections on to target.
func (g *gate) open(target string) {
	g.target = target
	go g.serve(g.listener)
}

func (g *gate) serve(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		g.mu.Lock()
		g.conns = append(g.conns, in, out)
		g.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = pair[0].(*net.TCPConn).WriteTo(pair[1])
				_ = pair[0].Close()
				_ = pair[1].Close()
			}()
		}
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.listener.Close()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

// restart breaks all connections and refuses new ones for a while.
func (g *gate) restart(pause time.Duration) {
	g.shut()
	time.AfterFunc(pause, func() {
		l, err := net.Listen("tcp", g.address)
		if !assert.NoError(g.t, err) {
			return
		}
		g.mu.Lock()
		g.listener = l
		g.mu.Unlock()
		g.serve(l)
	})
}
