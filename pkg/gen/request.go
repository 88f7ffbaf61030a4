package gen

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"
)

const blockRequest = "CERTIFICATE REQUEST"

// Request is what a CA elsewhere has to sign, and the key that stays here, PEM encoded.
type Request struct {
	// CSR is the certificate signing request (PKCS#10).
	CSR []byte
	Key []byte
}

// NewRequest makes a key and a request for spec, whose validity is left to the CA.
func NewRequest(spec Spec) (Request, error) {
	if err := spec.Validate(); err != nil {
		return Request{}, err
	}
	key, err := spec.Key.generate()
	if err != nil {
		return Request{}, fmt.Errorf("generating the server key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: leafCommonName}, DNSNames: spec.DNSNames,
	}, key)
	if err != nil {
		return Request{}, fmt.Errorf("signing the certificate request: %w", err)
	}
	keyPEM, err := encodeKey(key)
	return Request{CSR: encode(blockRequest, der), Key: keyPEM}, err
}

// Assemble makes a bundle of what a CA elsewhere has answered: cert is the PEM of the signed certificate and of what the CA sent
// along with it, key that of its key, and cas the certificates of the CA and those above it, in any order. Only one of cas
// becomes trusted. It returns an error when the bundle does not pass [Check] for those names at now.
func Assemble(cert, key, cas []byte, names []string, now time.Time) (Bundle, error) {
	var read Validation
	read.parsePair(cert, key)
	answer := read.Chain
	above, _ := ParseCertificates(cas)
	if len(above) == 0 {
		return Bundle{}, errors.New(noCertificate("the CA set", cas))
	}
	b := Bundle{CA: cas, Cert: cert, Key: key}
	if len(answer) > 0 {
		chain := climb(answer[0], slices.Concat(above, answer[1:]))
		for len(chain) > 1 && !above.Contains(chain[len(chain)-1]) {
			chain = chain[:len(chain)-1]
		}
		if len(chain) > 1 {
			b = newBundle(chain, key)
		}
	}
	v := Check(b, names, now)
	if v.OK() {
		return b, nil
	}
	// The way to the top may lead through one that has expired, where one further down is trusted, too.
	if direct := Check(Bundle{CA: cas, Cert: cert, Key: key}, names, now); direct.OK() {
		return Bundle{CA: CASet{direct.Root}.PEM(), Cert: encodeCertificates(answer), Key: key}, nil
	}
	return Bundle{}, errors.New(v.Faults[0].String())
}
