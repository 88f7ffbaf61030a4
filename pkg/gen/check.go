package gen

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Code names a kind of fault. The values are stable: they are part of the reason codes that users see.
type Code string

// The codes, in the order in which they are reported when several apply.
const (
	Malformed   Code = "malformed"     // a part is missing, too large, or not what its name says
	KeyMismatch Code = "key-mismatch"  // the key does not belong to the certificate
	KeyType     Code = "key-type"      // TLS cannot use such a key
	Chain       Code = "chain"         // the certificate does not lead to one of the trusted CAs
	Usage       Code = "usage"         // the certificate, or its CA, is not for server authentication
	DNSNames    Code = "dns-names"     // a wanted DNS name is not covered
	NotYetValid Code = "not-yet-valid" // NotBefore lies ahead
	Expired     Code = "expired"       // NotAfter has passed
)

var codes = []Code{Malformed, KeyMismatch, KeyType, Chain, Usage, DNSNames, NotYetValid, Expired}

// Finding is one thing that a check found.
type Finding struct {
	Code   Code
	Detail string
}

// String is the finding as one line.
func (f Finding) String() string { return string(f.Code) + ": " + f.Detail }

// Report is all that is to be said about a Bundle.
type Report struct {
	// Faults are why a TLS client would refuse the server, in the order of the codes.
	Faults []Finding
	// Warnings are oddities that clients put up with.
	Warnings []string
	// Leaf is the server's certificate, nil when it cannot be parsed.
	Leaf *x509.Certificate
	// Chain is what the server sends, Leaf first, as crypto/tls reads it: unlike in a CA set, blocks with headers count. It is nil
	// when it, or its key, cannot be read or used.
	Chain []*x509.Certificate
	// CAs are the certificates of the CA set, as far as they can be parsed.
	CAs CASet
	// Root is the one of CAs that Leaf leads to, on the longest-lived path. Nil when there is no trusted path now.
	Root *x509.Certificate
	// NotAfter is when the server stops being trusted: the end of the leaf or of what it leads to, whichever comes
	// first, on the longest-lived path. Zero when there is no trusted path now.
	NotAfter time.Time
}

// OK reports whether a client that trusts the CA set would accept the server under every wanted name.
func (r Report) OK() bool { return len(r.Faults) == 0 }

// Check examines b as a TLS client would that verifies against b.CA at the time now and calls the server by each of
// names. It accepts what crypto/tls accepts, which is what the API server uses.
func Check(b Bundle, names []string, now time.Time) Report {
	var r Report
	r.parseCAs(b.CA)
	if r.parsePair(b.Cert, b.Key); r.Chain != nil {
		r.checkCertificate(names, now)
	}
	return r.sorted()
}

// checkCertificate examines the chain that has been parsed.
func (r *Report) checkCertificate(names []string, now time.Time) {
	r.checkNames(names)
	r.checkLeaf()
	if len(r.CAs) > 0 {
		r.checkChain(now)
	}
}

// sorted is the report with its faults in the order of the codes.
func (r *Report) sorted() Report {
	slices.SortStableFunc(r.Faults, func(a, b Finding) int {
		return slices.Index(codes, a.Code) - slices.Index(codes, b.Code)
	})
	return *r
}

func (r *Report) fault(code Code, format string, args ...any) {
	r.Faults = append(r.Faults, Finding{code, fmt.Sprintf(format, args...)})
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// present reports whether a part has a plausible size, and records a fault when it has not.
func (r *Report) present(part string, data []byte) bool {
	switch {
	case len(data) == 0:
		r.fault(Malformed, "%s is missing or empty", part)
	case len(data) > maxPEM:
		r.fault(Malformed, "%s has %d bytes: at most %d are allowed", part, len(data), maxPEM)
	default:
		return true
	}
	return false
}

func (r *Report) parseCAs(data []byte) {
	if !r.present("the CA set", data) {
		return
	}
	var unreadable [][]byte
	r.CAs, unreadable = ParseCertificates(data)
	overlooked := Overlooked(data)
	switch {
	case len(r.CAs) == 0:
		r.fault(Malformed, "%s", noCertificate("the CA set", data))
	case overlooked != "":
		r.warn("the CA set holds more certificates than are read: %s", overlooked)
	}
	if len(unreadable) > 0 {
		r.warn("the CA set holds %d malformed certificates, which are ignored", len(unreadable))
	}
	if hasPrivateKey(data) {
		r.warn("the CA set holds a private key, which is ignored: it does not belong there")
	}
}

func hasPrivateKey(data []byte) bool {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, blockPrivateKey) {
			return true
		}
		data = rest
	}
}

// parsePair reads the certificate chain and its key.
func (r *Report) parsePair(cert, key []byte) {
	hasCert, hasKey := r.present("the certificate", cert), r.present("the private key", key)
	if !hasCert || !hasKey {
		return
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		r.explainPair(cert, key, err)
		return
	}
	r.Leaf = pair.Leaf
	chain := []*x509.Certificate{pair.Leaf}
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			// The server would send it, and the client would end the handshake.
			r.fault(Malformed, "the chain after the certificate is not readable: %v", err)
			return
		}
		chain = append(chain, c)
	}
	r.Chain = chain
}

// explainPair turns the one error of tls.X509KeyPair into a code.
func (r *Report) explainPair(cert, key []byte, err error) {
	block, _ := pem.Decode(key)
	switch {
	case block != nil && (block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")):
		r.fault(Malformed, "the private key is encrypted: store it without a passphrase")
	case strings.Contains(err.Error(), "does not match"):
		r.Leaf = firstCertificate(cert)
		r.fault(KeyMismatch, "the private key does not belong to the certificate")
	default:
		// These errors describe PEM blocks and ASN.1 structure, never key material.
		detail := strings.TrimPrefix(err.Error(), "tls: ")
		if overlooked := Overlooked(cert); overlooked != "" {
			detail += ": " + overlooked
		}
		r.fault(Malformed, "the certificate and its key are not readable: %s", detail)
	}
}

func (r *Report) checkNames(names []string) {
	var missing []string
	for _, name := range names {
		if r.Leaf.VerifyHostname(name) != nil {
			missing = append(missing, name)
		} else if !slices.Contains(r.Leaf.DNSNames, name) {
			r.warn("DNS name %s is covered by a wildcard or another spelling only", name)
		}
	}
	if len(missing) > 0 {
		r.fault(DNSNames, "the certificate is not for %s: it is for %s", strings.Join(missing, ", "), orNothing(r.Leaf.DNSNames))
	}
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no DNS name"
	}
	return strings.Join(names, ", ")
}

// checkLeaf looks at what the verification of a chain leaves out.
func (r *Report) checkLeaf() {
	switch key := r.Leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		// crypto/tls refuses to verify longer keys, and crypto/rsa to sign with shorter ones.
		if bits := key.N.BitLen(); bits < 1024 || bits > 8192 {
			r.fault(KeyType, "an RSA key of %d bits cannot serve TLS: use 2048 to 4096", bits)
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			r.fault(KeyType, "an ECDSA key on curve %s cannot serve TLS: use P-256 or P-384", key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		r.fault(KeyType, "a key of type %T cannot serve TLS", key)
	}
	if u := r.Leaf.KeyUsage; u != 0 && u&x509.KeyUsageDigitalSignature == 0 {
		r.warn("the certificate's key usage lacks digitalSignature, which clients other than Go's ask for")
	}
}

func (r *Report) checkChain(now time.Time) {
	opts := x509.VerifyOptions{Roots: pool(r.CAs), Intermediates: pool(r.Chain[1:]), CurrentTime: now}
	for _, c := range r.CAs {
		switch {
		case now.After(c.NotAfter):
			r.warn("the CA set holds a certificate that expired on %s: %s", date(c.NotAfter), Fingerprint(c))
		case now.Before(c.NotBefore):
			r.warn("the CA set holds a certificate that is valid from %s only: %s", date(c.NotBefore), Fingerprint(c))
		case !c.IsCA:
			r.warn("the CA set holds a certificate that is not a CA's: %s", Fingerprint(c))
		}
	}
	chains, err := r.Leaf.Verify(opts)
	if err == nil {
		for _, chain := range chains {
			end := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
			if end.After(r.NotAfter) {
				r.NotAfter, r.Root = end, chain[len(chain)-1]
			}
		}
		return
	}
	r.explainChain(opts, err, now)
}

// explainChain turns the error of x509.Certificate.Verify into codes. Time is told apart from the rest by verifying
// again at the two ends of the leaf's own life.
func (r *Report) explainChain(opts x509.VerifyOptions, err error, now time.Time) {
	timely := err
	for _, t := range []time.Time{r.Leaf.NotBefore, r.Leaf.NotAfter} {
		if opts.CurrentTime = t; timely != nil {
			_, timely = r.Leaf.Verify(opts)
		}
	}
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case timely == nil:
	case errors.As(timely, &unknown):
		r.fault(Chain, "no CA of the set has signed the certificate")
	case errors.As(timely, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		r.fault(Usage, "the certificate or its CA is not for server authentication")
	default:
		r.fault(Chain, "the certificate does not lead to a CA of the set: %s", strings.TrimPrefix(timely.Error(), "x509: "))
	}
	switch {
	case now.After(r.Leaf.NotAfter):
		r.fault(Expired, "the certificate expired on %s", date(r.Leaf.NotAfter))
	case now.Before(r.Leaf.NotBefore):
		r.fault(NotYetValid, "the certificate is valid from %s, and it is %s", date(r.Leaf.NotBefore), date(now))
	case timely == nil:
		r.fault(Expired, "a CA that the certificate leads to is not valid at %s", date(now))
	}
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
