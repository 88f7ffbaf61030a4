package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

const (
	upgradeSPDY         = "SPDY/3.1"
	protocolPortForward = "portforward.k8s.io"

	// What a stream is for (k8s.io/api/core/v1, PortHeader and what follows).
	headerPort       = "port"
	headerRequest    = "requestID"
	headerStreamType = "streamType"
	streamError      = "error"
	streamData       = "data"

	// maxMessage bounds what is read of an error that is sent instead of a connection.
	maxMessage = 64 << 10
)

// PortForward connects to pods from outside the cluster, through the API server and the kubelet, as kubectl port-forward
// does. It speaks SPDY, which every API server that the chart supports understands, and needs the right to create
// pods/portforward. The dialer of client-go knows no context, and this one needs a fifth of its size.
type PortForward struct {
	transport http.RoundTripper
	raw       *Raw
}

// NewPortForward makes a dialer that goes through the API server of cfg.
func NewPortForward(cfg *rest.Config, raw *Raw) (*PortForward, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.NextProtos = []string{"http/1.1"} // HTTP/2 has no upgrades
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", cfg.Host, err)
	}
	return &PortForward{transport: transport, raw: raw}, nil
}

// DialService implements verify.Dialer: a Service cannot be reached from outside.
func (p *PortForward) DialService(context.Context, string, int) (net.Conn, error) {
	return nil, fmt.Errorf("dialing a Service from outside the cluster: %w", errors.ErrUnsupported)
}

// DialEndpoint implements verify.Dialer, for endpoints that are pods.
func (p *PortForward) DialEndpoint(ctx context.Context, namespace string, e verify.Endpoint) (net.Conn, error) {
	if e.Pod == "" {
		return nil, fmt.Errorf("dialing %s, which is no pod, from outside the cluster: %w", e.Address, errors.ErrUnsupported)
	}
	url := p.raw.client.Post().AbsPath(resource.Pods.Path(namespace, e.Pod), "portforward").URL()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("forwarding a port of pod %s/%s: %w", namespace, e.Pod, err)
	}
	req.Header.Set(httpstream.HeaderConnection, httpstream.HeaderUpgrade)
	req.Header.Set(httpstream.HeaderUpgrade, upgradeSPDY)
	req.Header.Set(httpstream.HeaderProtocolVersion, protocolPortForward)
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, fmt.Errorf("forwarding a port of pod %s/%s: the connection cannot be written to", namespace, e.Pod)
	}
	// The context is that of the request; it no longer ends the connection.
	stop := context.AfterFunc(ctx, func() { _ = body.Close() })
	conn, err := awaitStreams(ctx, body, e.Port)
	if err != nil {
		stop()
		return nil, errors.Join(err, body.Close())
	}
	conn.stop = stop
	return conn, nil
}

// awaitStreams opens the streams, but does not wait for them longer than the context says: SPDY's client waits half a minute for a
// kubelet that does not answer, as one does not whose pod is ending, even when the connection has been closed.
func awaitStreams(ctx context.Context, body io.ReadWriteCloser, port int) (*forwarded, error) {
	type result struct {
		conn *forwarded
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		conn, err := openStreams(body, port)
		opened <- result{conn, err}
	}()
	select {
	case r := <-opened:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// openStreams opens the two streams of a forwarded port on a connection that speaks SPDY.
func openStreams(body io.ReadWriteCloser, port int) (*forwarded, error) {
	conn, err := spdy.NewClientConnection(upgraded{body})
	if err != nil {
		return nil, err
	}
	headers := http.Header{}
	headers.Set(headerPort, strconv.Itoa(port))
	headers.Set(headerRequest, "0")
	headers.Set(headerStreamType, streamError)
	failure, err := conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("opening the stream for errors: %w", err)
	}
	if err := failure.Close(); err != nil { // nothing is written to it
		return nil, fmt.Errorf("opening the stream for errors: %w", err)
	}
	headers.Set(headerStreamType, streamData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("opening the stream for data: %w", err)
	}
	f := &forwarded{upgraded: upgraded{body}, conn: conn, data: data, told: make(chan string, 1)}
	go func() {
		message, _ := io.ReadAll(io.LimitReader(failure, maxMessage))
		f.told <- string(message)
	}()
	return f, nil
}

// refusal is the error that the API server sends instead of a connection.
func refusal(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return fmt.Errorf("the API server answered %s: %w", resp.Status, err)
	}
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return fmt.Errorf("the API server answered %s: %s", resp.Status, strings.TrimSpace(string(body)))
}

// forwarded is a connection to a port of a pod.
type forwarded struct {
	upgraded
	conn httpstream.Connection
	data httpstream.Stream
	told chan string // why it failed, empty when it did not
	stop func() bool
}

// Read implements net.Conn. At the end of the data the kubelet says whether that is a failure.
func (f *forwarded) Read(b []byte) (int, error) {
	n, err := f.data.Read(b)
	if n == 0 && err != nil {
		message := <-f.told
		f.told <- message
		if message != "" {
			return 0, errors.New(cause(message))
		}
	}
	return n, err
}

// cause is the last part of what the kubelet says of a connection that failed, which begins with the pod's identity.
func cause(message string) string {
	message = strings.TrimSpace(message)
	if i := strings.LastIndex(message, "failed to "); i >= 0 {
		return message[i:]
	}
	if _, rest, ok := strings.Cut(message, "to pod: "); ok {
		return rest
	}
	return message
}

// Write implements net.Conn.
func (f *forwarded) Write(b []byte) (int, error) { return f.data.Write(b) }

// Close implements net.Conn.
func (f *forwarded) Close() error {
	f.stop()
	return f.conn.Close()
}

// upgraded is an HTTP connection that speaks another protocol now. It has no deadlines and tells no addresses, which
// nobody asks it for.
type upgraded struct {
	io.ReadWriteCloser
}

func (upgraded) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (upgraded) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (upgraded) SetDeadline(time.Time) error      { return nil }
func (upgraded) SetReadDeadline(time.Time) error  { return nil }
func (upgraded) SetWriteDeadline(time.Time) error { return nil }
