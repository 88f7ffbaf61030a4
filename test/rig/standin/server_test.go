package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// serverName is the DNS name in the certificates of these tests.
const serverName = "registry-webhook.default.svc"

func TestLoadTLS(t *testing.T) {
	t.Run("waits until both files are there", func(t *testing.T) {
		made := newFiles(t)
		late := files{cert: filepath.Join(t.TempDir(), "tls.crt"), key: filepath.Join(t.TempDir(), "tls.key")}
		synctest.Test(t, func(t *testing.T) {
			loaded := make(chan error, 1)
			go func() {
				_, err := late.server().loadTLS(t.Context(), time.Minute)
				loaded <- err
			}()
			for from, to := range map[string]string{made.cert: late.cert, made.key: late.key} {
				synctest.Wait() // it has looked and waits
				require.Empty(t, loaded)
				require.NoError(t, os.Rename(from, to))
				time.Sleep(2 * filePoll)
			}
			assert.NoError(t, <-loaded)
		})
	})

	t.Run("gives up after a while and names the file", func(t *testing.T) {
		missing := newFiles(t)
		require.NoError(t, os.Remove(missing.key))
		_, err := missing.server().loadTLS(t.Context(), time.Millisecond)
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.EqualError(t, err, "waiting 1ms for the webhook server's TLS files: stat "+missing.key+": no such file or directory")
	})

	t.Run("needs no file for a server without certificate", func(t *testing.T) {
		config, err := server{name: "router"}.loadTLS(t.Context(), 0)
		require.NoError(t, err)
		assert.Nil(t, config)
	})
}

func TestServe(t *testing.T) {
	t.Run("loads the files once", func(t *testing.T) {
		before := newFiles(t)
		address := start(t, before.server())
		newer := newFiles(t)
		require.NoError(t, os.Rename(newer.cert, before.cert))
		require.NoError(t, os.Rename(newer.key, before.key))
		assert.Equal(t, "ok\n", before.get(t, "https://"+address+"/healthz"))
		_, err := newer.client().Get("https://" + address + "/healthz")
		var unknown x509.UnknownAuthorityError
		assert.ErrorAs(t, err, &unknown)
	})

	t.Run("closes its port at once and finishes requests in flight", func(t *testing.T) {
		arrived, finish := make(chan struct{}), make(chan struct{})
		slow := server{name: "slow", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-finish
			healthy(w, nil)
		})}
		listener := listen(t)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- slow.serve(ctx, listener, nil, slog.New(slog.DiscardHandler)) }()
		answered := make(chan error, 1)
		go func() {
			response, err := files{}.client().Get("http://" + listener.Addr().String())
			if err == nil {
				err = response.Body.Close()
			}
			answered <- err
		}()
		<-arrived
		stop()
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err == nil {
				_ = conn.Close()
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		}, shutdownTimeout, time.Millisecond)
		close(finish)
		assert.NoError(t, <-answered)
		assert.NoError(t, <-served)
	})
}

func TestDrain(t *testing.T) {
	for sentence, c := range map[string]struct {
		drain time.Duration
		want  error
	}{
		"a server that drains answers once more on a connection, and says that it was the last time": {drain: time.Minute},
		"a server like Kthena's closes a connection that idles":                                      {want: io.ErrClosedPipe},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, accepted := net.Pipe()
				listener := make(pipeListener, 1)
				listener <- accepted
				ctx, stop := context.WithCancel(t.Context())
				served := make(chan error, 1)
				s := server{name: "webhook", handler: webhookHandler(), drain: c.drain}
				go func() { served <- s.serve(ctx, listener, nil, slog.New(slog.DiscardHandler)) }()
				answers := bufio.NewReader(client)
				ask := func() (*http.Response, error) {
					if _, err := io.WriteString(client, "GET /healthz HTTP/1.1\r\nHost: webhook\r\n\r\n"); err != nil {
						return nil, err
					}
					return http.ReadResponse(answers, nil)
				}
				first, err := ask()
				require.NoError(t, err)
				require.False(t, first.Close)
				_, err = io.Copy(io.Discard, first.Body)
				require.NoError(t, err)

				stop()
				synctest.Wait()
				last, err := ask()
				require.ErrorIs(t, err, c.want)
				if err == nil {
					assert.True(t, last.Close)
				}
				assert.NoError(t, <-served)
			})
		})
	}
}

// files is a certificate on disk, and the CA that made it.
type files struct {
	cert, key string
	ca        []byte
}

func newFiles(t *testing.T) files {
	t.Helper()
	bundle, err := gen.Generate(
		gen.Spec{DNSNames: []string{serverName}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now(),
	)
	require.NoError(t, err)
	dir := t.TempDir()
	f := files{cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), ca: bundle.CA}
	require.NoError(t, os.WriteFile(f.cert, bundle.Cert, 0o600))
	require.NoError(t, os.WriteFile(f.key, bundle.Key, 0o600))
	return f
}

// server is one that serves health with the files.
func (f files) server() server {
	return server{name: "webhook", certFile: f.cert, keyFile: f.key, handler: webhookHandler()}
}

// client is one that trusts the CA of the files and nothing else.
func (f files) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(f.ca)
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS12},
	}}
}

// start serves s on a free port until the test ends, and returns its address.
func start(t *testing.T, s server) string {
	t.Helper()
	config, err := s.loadTLS(t.Context(), 0)
	require.NoError(t, err)
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.serve(ctx, listener, config, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-served)
	})
	return listener.Addr().String()
}

// pipeListener is a listener inside this process: to synctest nobody who waits for a real connection is at rest.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if conn, open := <-l; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l pipeListener) Close() error {
	close(l)
	return nil
}

func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
