package localcluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// kubeletPort is where the API server looks for the kubelet. Nothing listens there: the network leads to it.
const kubeletPort = 10250

// portForwardProtocol is the one subprotocol of port forwarding.
const portForwardProtocol = "portforward.k8s.io"

// streaming is the part of a kubelet's own server that the API server asks for what users want of a pod: its log and a
// connection to one of its ports. It is reached through the API server's egress alone.
func (k *Kubelet) streaming() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLog)
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.servePortForward)
	return mux
}

// serveLog answers with all that a container has written so far.
func (k *Kubelet) serveLog(w http.ResponseWriter, r *http.Request) {
	log, err := k.Logs(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_, _ = w.Write(log)
}

// servePortForward carries connections to the ports of a pod: a pair of streams for each, one for the data and one for why
// it failed, as SPDY clients of the kubelet expect it.
func (k *Kubelet) servePortForward(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	p := k.last[types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("pod")}]
	k.mu.Unlock()
	if p == nil {
		http.Error(w, "pod does not exist", http.StatusNotFound)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portForwardProtocol}); err != nil {
		return // it has answered
	}
	streams := make(chan httpstream.Stream, 1)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	errorStreams := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case <-k.ctx.Done():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				errorStreams[id] = s
				continue
			}
			go k.forward(ctx, p.ip, s, errorStreams[id])
		}
	}
}

// forward joins a stream of data and a port of a pod. The kubelet connects from inside the pod, so nothing that keeps other
// pods out is in its way.
func (k *Kubelet) forward(ctx context.Context, podIP string, data, failure httpstream.Stream) {
	defer data.Close()
	if failure != nil {
		defer failure.Close()
	}
	port, err := strconv.ParseInt(data.Headers().Get(corev1.PortHeader), 10, 32)
	var conn net.Conn
	if err == nil {
		conn, err = k.cluster.network.connect(ctx, podIP, int32(port))
	}
	if err != nil {
		if failure != nil {
			_, _ = fmt.Fprintf(failure, "error forwarding port %d to pod: %v", port, err)
		}
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	ended := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(conn, data); ended <- struct{}{} }()
	go func() { _, _ = io.Copy(data, conn); ended <- struct{}{} }()
	<-ended
}

// serveStreaming lets the network lead the API server to the kubelet until it ends.
func (k *Kubelet) serveStreaming() error {
	certificate, err := selfSigned(NodeName)
	if err != nil {
		return fmt.Errorf("making the kubelet's certificate: %w", err)
	}
	listener := newMemoryListener()
	server := &http.Server{
		Handler: k.streaming(), ReadHeaderTimeout: 10 * time.Second,
		// A client that leaves before the handshake is none of the user's business.
		ErrorLog: slog.NewLogLogger(k.log.Handler(), slog.LevelDebug),
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	k.running.Go(func() {
		if err := server.Serve(tls.NewListener(listener, config)); !errors.Is(err, http.ErrServerClosed) {
			k.log.Error("serving the kubelet's streams", "error", err)
		}
	})
	k.cluster.network.setKubelet(listener)
	context.AfterFunc(k.ctx, func() {
		k.cluster.network.setKubelet(nil)
		_ = server.Close()
	})
	return nil
}

// selfSigned makes a certificate that nobody verifies: the API server does not verify kubelets unless it is told to.
func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// memoryListener accepts connections that are made in this process.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// dial returns a connection to whoever accepts.
func (l *memoryListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: NodeName, Net: "memory"} }
