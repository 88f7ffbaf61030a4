package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// dialTimeout is how long a server may take to show its certificate.
const dialTimeout = 5 * time.Second

// Show connects and returns the certificates that the server shows to who calls it by name, or that it has not within a few seconds. They
// are verified later, against each bundle.
func Show(ctx context.Context, name string, dial func(context.Context) (net.Conn, error)) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, fmt.Errorf("no answer within %s", dialTimeout))
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{
		ServerName:         name,
		MinVersion:         tls.VersionTLS12,     // kube-apiserver's
		NextProtos:         []string{"http/1.1"}, // what kube-apiserver speaks to webhooks
		InsecureSkipVerify: true,                 //nolint:gosec // nothing is sent; the caller verifies what is shown
	})
	err = client.HandshakeContext(ctx)
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return nil, &handshakeError{errors.New("its answer is not TLS")}
	case err != nil:
		return nil, causeOf(ctx, err)
	}
	return client.ConnectionState().PeerCertificates, nil
}

// handshakeError says that a server was reached that does not speak TLS.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// causeOf is err, or why the context ended where that is what happened.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func isUnsupported(err error) bool { return errors.Is(err, errors.ErrUnsupported) }

// unreachable records that a server could not be reached, or that it is none of TLS.
func (v *Verifier) unreachable(s *server, object string, err error) {
	code, doing := EndpointUnreachable, "port %d cannot be reached: %v%s"
	port := s.Port
	if len(s.Endpoints) > 0 && strings.HasPrefix(object, "Pod ") {
		port = s.Endpoints[0].Port
	}
	var handshake *handshakeError
	if errors.As(err, &handshake) {
		code, doing = NotTLS, "port %d does not speak TLS (%v)%s"
	}
	v.find(code, object, v.logsRemedy(s.Deployment), doing, port, err, s.behind(object))
	v.broken(s)
}

// behind names the server's Service, for a sentence about one of its pods.
func (s *server) behind(object string) string {
	if strings.HasPrefix(object, "Service ") {
		return s.calledBy()
	}
	return ", and it is behind Service " + s.Name
}
