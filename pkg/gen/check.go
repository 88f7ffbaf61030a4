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

// FaultCode names a kind of Fault. The values are stable: they are part of the reason codes that users see.
type FaultCode string

// The codes, in the order in which they are reported when several apply.
const (
	Malformed   FaultCode = "malformed"     // a part is missing, too large, or not what its name says
	KeyMismatch FaultCode = "key-mismatch"  // the key does not belong to the certificate
	KeyType     FaultCode = "key-type"      // TLS cannot use such a key
	Chain       FaultCode = "chain"         // the certificate does not lead to one of the trusted CAs
	Usage       FaultCode = "usage"         // the certificate, or its CA, is not for server authentication
	DNSNames    FaultCode = "dns-names"     // a wanted DNS name is not covered
	NotYetValid FaultCode = "not-yet-valid" // NotBefore lies ahead
	Expired     FaultCode = "expired"       // NotAfter has passed
)

var codes = []FaultCode{Malformed, KeyMismatch, KeyType, Chain, Usage, DNSNames, NotYetValid, Expired}

// Fault is one reason why a TLS client would refuse the server.
type Fault struct {
	Code   FaultCode
	Detail string
}

// String is the fault as one line.
func (f Fault) String() string { return string(f.Code) + ": " + f.Detail }

// Validation is what [Check] has found out: that of RFC 5280, section 6, as crypto/x509 makes it, and what crypto/tls asks for besides.
type Validation struct {
	// Faults are in the order of their codes, empty when there are none.
	Faults []Fault
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
func (v Validation) OK() bool { return len(v.Faults) == 0 }

// Check examines b as a TLS client would that verifies against b.CA at the time now and calls the server by each of
// names. It accepts what crypto/tls accepts, which is what the API server uses.
func Check(b Bundle, names []string, now time.Time) Validation {
	var v Validation
	v.parseCAs(b.CA)
	if v.parsePair(b.Cert, b.Key); v.Chain != nil {
		v.checkCertificate(names, now)
	}
	return v.sorted()
}

// checkCertificate examines the chain that has been parsed.
func (v *Validation) checkCertificate(names []string, now time.Time) {
	v.checkNames(names)
	v.checkLeaf()
	if len(v.CAs) > 0 {
		v.checkChain(now)
	}
}

// sorted is v with its faults in the order of the codes.
func (v *Validation) sorted() Validation {
	slices.SortStableFunc(v.Faults, func(a, b Fault) int {
		return slices.Index(codes, a.Code) - slices.Index(codes, b.Code)
	})
	return *v
}

func (v *Validation) fault(code FaultCode, format string, args ...any) {
	v.Faults = append(v.Faults, Fault{code, fmt.Sprintf(format, args...)})
}

func (v *Validation) warn(format string, args ...any) {
	v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...))
}

// present reports whether a part has a plausible size, and records a fault when it has not.
func (v *Validation) present(part string, data []byte) bool {
	switch {
	case len(data) == 0:
		v.fault(Malformed, "%s is missing or empty", part)
	case len(data) > maxPEM:
		v.fault(Malformed, "%s has %d bytes: at most %d are allowed", part, len(data), maxPEM)
	default:
		return true
	}
	return false
}

func (v *Validation) parseCAs(data []byte) {
	if !v.present("the CA set", data) {
		return
	}
	var unreadable [][]byte
	v.CAs, unreadable = ParseCertificates(data)
	overlooked := Overlooked(data)
	switch {
	case len(v.CAs) == 0:
		v.fault(Malformed, "%s", noCertificate("the CA set", data))
	case overlooked != "":
		v.warn("the CA set holds more certificates than are read: %s", overlooked)
	}
	if len(unreadable) > 0 {
		v.warn("the CA set holds %d malformed certificates, which are ignored", len(unreadable))
	}
	if hasPrivateKey(data) {
		v.warn("the CA set holds a private key, which is ignored: it does not belong there")
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
func (v *Validation) parsePair(cert, key []byte) {
	hasCert, hasKey := v.present("the certificate", cert), v.present("the private key", key)
	if !hasCert || !hasKey {
		return
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		v.explainPair(cert, key, err)
		return
	}
	v.Leaf = pair.Leaf
	chain := []*x509.Certificate{pair.Leaf}
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			// The server would send it, and the client would end the handshake.
			v.fault(Malformed, "the chain after the certificate is not readable: %v", err)
			return
		}
		chain = append(chain, c)
	}
	v.Chain = chain
}

// explainPair turns the one error of tls.X509KeyPair into a code.
func (v *Validation) explainPair(cert, key []byte, err error) {
	block, _ := pem.Decode(key)
	switch {
	case block != nil && (block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")):
		v.fault(Malformed, "the private key is encrypted: store it without a passphrase")
	case strings.Contains(err.Error(), "does not match"):
		v.Leaf = firstCertificate(cert)
		v.fault(KeyMismatch, "the private key does not belong to the certificate")
	default:
		// These errors describe PEM blocks and ASN.1 structure, never key material.
		detail := strings.TrimPrefix(err.Error(), "tls: ")
		if overlooked := Overlooked(cert); overlooked != "" {
			detail += ": " + overlooked
		}
		v.fault(Malformed, "the certificate and its key are not readable: %s", detail)
	}
}

func (v *Validation) checkNames(names []string) {
	var missing []string
	for _, name := range names {
		if v.Leaf.VerifyHostname(name) != nil {
			missing = append(missing, name)
		} else if !slices.Contains(v.Leaf.DNSNames, name) {
			v.warn("DNS name %s is covered by a wildcard or another spelling only", name)
		}
	}
	if len(missing) > 0 {
		v.fault(DNSNames, "the certificate is not for %s: it is for %s", strings.Join(missing, ", "), orNothing(v.Leaf.DNSNames))
	}
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no DNS name"
	}
	return strings.Join(names, ", ")
}

// checkLeaf looks at what the verification of a chain leaves out.
func (v *Validation) checkLeaf() {
	switch key := v.Leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		// crypto/tls refuses to verify longer keys, and crypto/rsa to sign with shorter ones.
		if bits := key.N.BitLen(); bits < 1024 || bits > 8192 {
			v.fault(KeyType, "an RSA key of %d bits cannot serve TLS: use 2048 to 4096", bits)
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			v.fault(KeyType, "an ECDSA key on curve %s cannot serve TLS: use P-256 or P-384", key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		v.fault(KeyType, "a key of type %T cannot serve TLS", key)
	}
	if u := v.Leaf.KeyUsage; u != 0 && u&x509.KeyUsageDigitalSignature == 0 {
		v.warn("the certificate's key usage lacks digitalSignature, which clients other than Go's ask for")
	}
}

func (v *Validation) checkChain(now time.Time) {
	opts := x509.VerifyOptions{Roots: pool(v.CAs), Intermediates: pool(v.Chain[1:]), CurrentTime: now}
	for _, c := range v.CAs {
		switch {
		case now.After(c.NotAfter):
			v.warn("the CA set holds a certificate that expired on %s: %s", date(c.NotAfter), Fingerprint(c))
		case now.Before(c.NotBefore):
			v.warn("the CA set holds a certificate that is valid from %s only: %s", date(c.NotBefore), Fingerprint(c))
		case !c.IsCA:
			v.warn("the CA set holds a certificate that is not a CA's: %s", Fingerprint(c))
		}
	}
	chains, err := v.Leaf.Verify(opts)
	if err == nil {
		for _, chain := range chains {
			end := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
			if end.After(v.NotAfter) {
				v.NotAfter, v.Root = end, chain[len(chain)-1]
			}
		}
		return
	}
	v.explainChain(opts, err, now)
}

// explainChain turns the error of x509.Certificate.Verify into codes. Time is told apart from the rest by verifying
// again at the two ends of the leaf's own life.
func (v *Validation) explainChain(opts x509.VerifyOptions, err error, now time.Time) {
	timely := err
	for _, t := range []time.Time{v.Leaf.NotBefore, v.Leaf.NotAfter} {
		if opts.CurrentTime = t; timely != nil {
			_, timely = v.Leaf.Verify(opts)
		}
	}
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case timely == nil:
	case errors.As(timely, &unknown):
		v.fault(Chain, "no CA of the set has signed the certificate")
	case errors.As(timely, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		v.fault(Usage, "the certificate or its CA is not for server authentication")
	default:
		v.fault(Chain, "the certificate does not lead to a CA of the set: %s", strings.TrimPrefix(timely.Error(), "x509: "))
	}
	switch {
	case now.After(v.Leaf.NotAfter):
		v.fault(Expired, "the certificate expired on %s", date(v.Leaf.NotAfter))
	case now.Before(v.Leaf.NotBefore):
		v.fault(NotYetValid, "the certificate is valid from %s, and it is %s", date(v.Leaf.NotBefore), date(now))
	case timely == nil:
		v.fault(Expired, "a CA that the certificate leads to is not valid at %s", date(now))
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
