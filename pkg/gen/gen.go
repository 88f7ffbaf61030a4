// Package gen makes, parses and checks the certificates of one TLS server. It knows nothing of Kubernetes.
//
// A [Bundle] is what is stored: a set of trusted CAs, a leaf certificate and the leaf's key. [Generate] makes a new
// one, [Check] tells everything that is wrong with one, fresh or stored, and [CASet.Merge] joins the CA sets of several.
//
// The key of a CA made here signs exactly one leaf and is then dropped: it exists in memory only, is never part of a
// Bundle and cannot be asked for. Rotation therefore always makes a new CA, and [Bundle.Trusting]
// keeps the old ones trusted until they expire. A set has no number that it may not pass; see [CASet].
//
// The clock is a parameter of every function. Randomness is not: since Go 1.26 the standard library's key generation
// reads the system's secure source whatever reader it is given.
//
// Certificates are made as RFC 5280 profiles them. What a check accepts is what crypto/x509 and crypto/tls accept, which the API server
// verifies with.
//
// Several goroutines may call any function and share any value: nothing here changes what it was given or has returned.
package gen

import (
	"encoding/pem"
	"time"
)

const (
	// Backdate is how far before now a new certificate's NotBefore lies, so that a node whose clock is behind the
	// one that made the certificate accepts it at once.
	Backdate = time.Hour

	// Common names are constants because RFC 5280 (appendix A.1, ub-common-name) limits them to 64 characters, which
	// a Service's DNS name can pass. Clients verify the subject alternative names only.
	caCommonName   = "kthena-certgen CA"
	leafCommonName = "kthena-certgen"
)

// Bundle is the material of one TLS server, PEM encoded as it is stored.
type Bundle struct {
	// CA holds the trusted CA certificates, the one that signed Cert first (Secret key ca.crt).
	CA []byte
	// Cert holds the leaf certificate, followed by intermediates if there are any (Secret key tls.crt).
	Cert []byte
	// Key holds the leaf's private key (Secret key tls.key).
	Key []byte
}

// Generate makes a new CA and a leaf signed by it. Both are valid from Backdate before now until spec.Validity after
// now. It returns an error when spec is not valid, and never a bundle that does not pass [Check].
func Generate(spec Spec, now time.Time) (Bundle, error) {
	if err := spec.Validate(); err != nil {
		return Bundle{}, err
	}
	a, err := NewAuthority(spec, now)
	if err != nil {
		return Bundle{}, err
	}
	return a.Issue(spec, now)
}

// Trusting returns b with a CA set that also holds those of others that are still valid at now, so that whoever is
// served by an older certificate stays trusted.
func (b Bundle) Trusting(others CASet, now time.Time) Bundle {
	own, _ := ParseCertificates(b.CA)
	b.CA = own.Merge(others, now).PEM()
	return b
}

func encode(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}
