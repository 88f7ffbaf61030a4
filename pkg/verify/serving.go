package verify

import (
	"context"
	"crypto/x509"
	"net"
	"time"
)

// Outcome is what verifying a certificate chain came to.
type Outcome struct {
	// Code is empty when the chain is good.
	Code Code
	// Detail says why it is not, as the end of a sentence about the certificate.
	Detail string
	// NotAfter is when it stops to be good, on the longest-lived path.
	NotAfter time.Time
}

// VerifyChain verifies what a server shows, as crypto/tls does in kube-apiserver: against a set of CAs, by a name, at a time.
func VerifyChain(chain, cas []*x509.Certificate, name string, now time.Time) Outcome {
	o := verifyChain(chain, cas, name, now)
	return Outcome{o.code, o.detail, o.notAfter}
}

// Show connects and returns the certificates that the server shows to who calls it by name. They are not verified.
func Show(ctx context.Context, name string, dial func(context.Context) (net.Conn, error)) ([]*x509.Certificate, error) {
	return (&Verifier{}).show(ctx, name, dial)
}

// EndpointSlice is one of the API's, as far as it is looked at.
type EndpointSlice = endpointSlice

// ReadyEndpoints are the ready endpoints of the slices of one Service, one for each pod, behind the port of that name.
func ReadyEndpoints(slices []EndpointSlice, portName string) []Endpoint {
	return readyEndpoints(slices, portName)
}
