package gen

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Authority is a CA that signs server certificates. Its key is in memory only. Several goroutines may use one.
type Authority struct {
	key crypto.Signer
	// chain is the CA's certificate and those above it, as far as they are known.
	chain []*x509.Certificate
}

// NewAuthority makes a self-signed CA with a key of spec's kind, valid from Backdate before now until spec.Validity after
// now.
func NewAuthority(spec Spec, now time.Time) (*Authority, error) {
	key, err := spec.Key.generate()
	if err != nil {
		return nil, fmt.Errorf("generating the CA key: %w", err)
	}
	// Serial numbers are left to x509.CreateCertificate, which draws them as RFC 5280, section 4.1.2.2, asks. So is
	// the CA's subject key id: it is made from the public key, so that CAs of the same name are told apart.
	ca := &x509.Certificate{
		Subject:   pkix.Name{CommonName: caCommonName},
		NotBefore: now.Add(-Backdate),
		NotAfter:  now.Add(spec.Validity),

		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // it signs leaves and nothing that could sign again
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the CA certificate: %w", err)
	}
	if ca, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("parsing the new CA certificate: %w", err)
	}
	return &Authority{key, []*x509.Certificate{ca}}, nil
}

// LoadAuthority is somebody's CA: certs is the PEM of its certificate, followed by those above it up to the root as far as
// they are known, in any order, and key is that of its private key, not encrypted. What it signs is trusted through the
// last of them. It returns an error when it could not sign anything at now that a client would accept.
func LoadAuthority(certs, key []byte, now time.Time) (*Authority, error) {
	var v Validation
	if v.parsePair(certs, key); v.Chain == nil {
		return nil, errors.New(v.Faults[0].Detail)
	}
	ca := v.Leaf
	switch {
	case !mayBeRoot(ca) && (!ca.BasicConstraintsValid || !ca.IsCA):
		return nil, fmt.Errorf("the certificate of %s is not that of a CA", ca.Subject)
	case ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("the CA %s may not sign certificates: its key usage lacks keyCertSign", ca.Subject)
	}
	chain := climb(ca, v.Chain[1:])
	for _, c := range chain {
		switch {
		case now.After(c.NotAfter):
			return nil, fmt.Errorf("the CA %s expired on %s", c.Subject, date(c.NotAfter))
		case now.Before(c.NotBefore):
			return nil, fmt.Errorf("the CA %s is valid from %s, and it is %s", c.Subject, date(c.NotBefore), date(now))
		}
	}
	// It has been parsed before, so there is no error now.
	pair, _ := tls.X509KeyPair(certs, key)
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", pair.PrivateKey)
	}
	return &Authority{signer, chain}, nil
}

// Issue makes a key and a certificate for spec. The certificate is valid from Backdate before now until spec.Validity after
// now, but not longer than the CA and those above it. It returns an error when spec is not valid, and never a bundle that does not pass
// [Check].
func (a *Authority) Issue(spec Spec, now time.Time) (Bundle, error) {
	if err := spec.Validate(); err != nil {
		return Bundle{}, err
	}
	key, err := spec.Key.generate()
	if err != nil {
		return Bundle{}, fmt.Errorf("generating the server key: %w", err)
	}
	notBefore, notAfter := now.Add(-Backdate), now.Add(spec.Validity)
	for _, c := range a.chain {
		if c.NotAfter.Before(notAfter) {
			notAfter = c.NotAfter
		}
	}
	leaf := &x509.Certificate{
		Subject:   pkix.Name{CommonName: leafCommonName},
		DNSNames:  spec.DNSNames,
		NotBefore: notBefore,
		NotAfter:  notAfter,

		BasicConstraintsValid: true,
		KeyUsage:              spec.Key.leafUsage(),
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.chain[0], key.Public(), a.key)
	if err != nil {
		return Bundle{}, fmt.Errorf("signing the server certificate: %w", err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		return Bundle{}, fmt.Errorf("parsing the new server certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Bundle{}, err
	}
	b := newBundle(slices.Concat([]*x509.Certificate{leaf}, a.chain), keyPEM)
	if v := Check(b, spec.DNSNames, now); !v.OK() {
		return Bundle{}, fmt.Errorf("checking the new certificate: %s", v.Faults[0])
	}
	return b, nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the server key: %w", err)
	}
	return encode(blockPrivateKey, der), nil
}

// newBundle is the bundle of a leaf and those above it. The server sends all but the root, which clients trust; where the root
// is not known, they trust the last that is.
func newBundle(chain []*x509.Certificate, key []byte) Bundle {
	top := len(chain) - 1
	sent := chain
	if selfSigned(chain[top]) {
		sent = chain[:top]
	}
	return Bundle{CA: CASet(chain[top:]).PEM(), Cert: encodeCertificates(sent), Key: key}
}

// climb returns c and those of others that lead from it to a root, as far as they do.
func climb(c *x509.Certificate, others []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{c}
	for !selfSigned(c) {
		i := slices.IndexFunc(others, func(above *x509.Certificate) bool {
			return !slices.ContainsFunc(chain, above.Equal) && c.CheckSignatureFrom(above) == nil
		})
		if i < 0 {
			break
		}
		c = others[i]
		chain = append(chain, c)
	}
	return chain
}

// mayBeRoot reports whether c is of a version of X.509 that has no extension to say what a CA is. Clients trust such a one as a
// root, and never as an intermediate.
func mayBeRoot(c *x509.Certificate) bool { return c.Version < 3 && selfSigned(c) }

func selfSigned(c *x509.Certificate) bool {
	return c.CheckSignatureFrom(c) == nil
}
