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

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Show connects and returns the certificates that the server shows to who calls it by name. They are verified later,
// against each bundle.
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

// Outcome is what verifying a certificate chain came to.
type Outcome struct {
	// Code is empty when the chain is good.
	Code Code
	// Detail says why it is not, as the end of a sentence about the certificate.
	Detail string
	// NotAfter is when it stops to be good, on the longest-lived path.
	NotAfter time.Time
}

// VerifyChain is [gen.VerifyChain] in the terms of findings.
func VerifyChain(chain, cas []*x509.Certificate, name string, now time.Time) Outcome {
	leaf := chain[0]
	_, notAfter, err := gen.VerifyChain(chain, cas, name, now)
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return Outcome{NotAfter: notAfter}
	case errors.As(err, &hostname):
		return Outcome{Code: WrongName, Detail: fmt.Sprintf("is for %s, not for %s", orNothing(leaf.DNSNames), name)}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return untimely(leaf, invalid.Cert, now)
	case errors.As(err, &unknown):
		return Outcome{Code: Untrusted, Detail: "was signed by no CA that is trusted"}
	}
	return Outcome{Code: Unusable, Detail: "cannot be used: " + strings.TrimPrefix(err.Error(), "x509: ")}
}

// untimely says which certificate of a chain is not valid now. A leaf that lies ahead and one that is over are told apart.
func untimely(leaf, c *x509.Certificate, now time.Time) Outcome {
	switch {
	case !c.Equal(leaf):
		return Outcome{Code: Expired, Detail: fmt.Sprintf("leads to a CA (%s) that is valid from %s to %s only", short(c), date(c.NotBefore), date(c.NotAfter))}
	case now.Before(c.NotBefore):
		return Outcome{Code: NotYetValid, Detail: "is valid from " + date(c.NotBefore) + " only"}
	}
	return Outcome{Code: Expired, Detail: "expired on " + date(c.NotAfter)}
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no DNS name"
	}
	return strings.Join(names, ", ")
}

// last is when the last of certs ends.
func last(certs []*x509.Certificate) (end time.Time) {
	for _, c := range certs {
		if c.NotAfter.After(end) {
			end = c.NotAfter
		}
	}
	return end
}
