package gen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// somebody is a CA of somebody else, with those above it.
type somebody struct {
	key   *ecdsa.PrivateKey
	chain gen.CASet // from itself to the root
}

// newRoot makes a self-signed CA; change is applied to its certificate first.
func newRoot(t testing.TB, change func(*x509.Certificate)) *somebody {
	t.Helper()
	return newCA(t, "root", nil, change)
}

// intermediate makes a CA that s has signed.
func (s *somebody) intermediate(t testing.TB, name string, change func(*x509.Certificate)) *somebody {
	t.Helper()
	return newCA(t, name, s, change)
}

func newCA(t testing.TB, name string, above *somebody, change func(*x509.Certificate)) *somebody {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(c)
	}
	s := &somebody{key: key}
	parent, signer := c, key
	if above != nil {
		parent, signer = above.chain[0], above.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	if s.chain = []*x509.Certificate{made}; above != nil {
		s.chain = append(s.chain, above.chain...)
	}
	return s
}

// keyPEM is the key in the form of SEC 1, which openssl ecparam writes.
func (s *somebody) keyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(s.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// sign answers a request as a corporate PKI does: by the names that were asked for.
func (s *somebody) sign(t testing.TB, csr []byte, change func(*x509.Certificate)) []byte {
	t.Helper()
	block, _ := pem.Decode(csr)
	require.NotNil(t, block)
	r, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, r.CheckSignature())
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: r.Subject, DNSNames: r.DNSNames, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(100 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(leaf)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, s.chain[0], r.PublicKey, s.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestOneAuthoritySignsSeveralLeaves(t *testing.T) {
	t.Parallel()
	a, err := gen.NewAuthority(spec(gen.ECDSA, 0), now)
	require.NoError(t, err)
	one, err := a.Issue(spec(gen.ECDSA, 0), now)
	require.NoError(t, err)
	two, err := a.Issue(spec(gen.RSA, 0), now)
	require.NoError(t, err)
	assert.Equal(t, one.CA, two.CA)
	assert.NotEqual(t, one.Key, two.Key)
	for _, b := range []gen.Bundle{one, two} {
		r := gen.Check(b, names, now)
		assert.Empty(t, r.Faults)
		assert.Empty(t, r.Warnings)
	}
}

func TestALoadedAuthoritySigns(t *testing.T) {
	t.Parallel()
	root := newRoot(t, nil)
	issuing := root.intermediate(t, "policy", nil).intermediate(
		t, "issuing", func(c *x509.Certificate) { c.NotAfter = now.Add(500 * time.Hour) },
	)
	reversed := gen.CASet{issuing.chain[0], issuing.chain[2], issuing.chain[1]}
	for name, tc := range map[string]struct {
		ca    *somebody
		certs gen.CASet
		sent  gen.CASet // after the leaf
		trust *x509.Certificate
		ends  time.Time
	}{
		"as a root": {root, root.chain, nil, root.chain[0], now.Add(1000 * time.Hour)},
		"as an intermediate, and sends all but root": {issuing, issuing.chain, issuing.chain[:2], root.chain[0], now.Add(500 * time.Hour)},
		"whatever the order of those above it":       {issuing, reversed, issuing.chain[:2], root.chain[0], now.Add(500 * time.Hour)},
		"when its root is not known":                 {issuing, issuing.chain[:2], issuing.chain[:2], issuing.chain[1], now.Add(500 * time.Hour)},
		"when nothing above it is known":             {issuing, issuing.chain[:1], issuing.chain[:1], issuing.chain[0], now.Add(500 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := gen.LoadAuthority(tc.certs.PEM(), tc.ca.keyPEM(t), now)
			require.NoError(t, err)
			b, err := a.Issue(spec(gen.ECDSA, 0), now)
			require.NoError(t, err)
			chain, _ := gen.ParseCertificates(b.Cert)
			assert.Equal(t, tc.sent.PEM(), chain[1:].PEM())
			assert.Equal(t, string(gen.CASet{tc.trust}.PEM()), string(b.CA))
			assert.Equal(t, tc.ends, chain[0].NotAfter, "it ends with the CA")
			require.NoError(t, handshake(b, names, now))
		})
	}
}

func TestAnAuthorityThatCannotSignIsRefused(t *testing.T) {
	t.Parallel()
	root := newRoot(t, nil)
	leaf := mustGenerate(t, spec(gen.ECDSA, 0), now)
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	changed := func(change func(*x509.Certificate)) *somebody { return newRoot(t, change) }
	for name, tc := range map[string]struct {
		ca    *somebody
		certs []byte // nil: the CA's
		key   []byte // nil: the CA's
		want  string
	}{
		"that is no CA": {
			changed(func(c *x509.Certificate) { c.IsCA = false }), nil, nil, "the certificate of CN=root is not that of a CA",
		},
		"that is a server": {root, leaf.Cert, leaf.Key, "the certificate of CN=kthena-certgen is not that of a CA"},
		"that may not sign": {
			changed(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), nil, nil,
			"the CA CN=root may not sign certificates: its key usage lacks keyCertSign",
		},
		"that has expired": {
			changed(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), nil, nil, "the CA CN=root expired on 2026-11-24T08:29:00Z",
		},
		"that is of tomorrow": {
			changed(func(c *x509.Certificate) { c.NotBefore = now.Add(24 * time.Hour) }), nil, nil,
			"the CA CN=root is valid from 2026-11-25T08:30:00Z, and it is 2026-11-24T08:30:00Z",
		},
		"below one that has expired": {
			changed(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }).intermediate(t, "below", nil), nil, nil,
			"the CA CN=root expired on 2026-11-24T08:29:00Z",
		},
		"whose key is another's": {root, nil, newRoot(t, nil).keyPEM(t), "the private key does not belong to the certificate"},
		"whose key is encrypted": {root, nil, encrypted, "the private key is encrypted: store it without a passphrase"},
		"whose key is none": {
			root, nil, []byte("no key"), "the certificate and its key are not readable: failed to find any PEM data in key input",
		},
		"whose key is empty": {root, nil, []byte{}, "the private key is missing or empty"},
		"whose certificate is none": {
			root, []byte("no certificate"), nil, "the certificate and its key are not readable: failed to find any PEM data in certificate input",
		},
		"whose certificate is broken": {
			root, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil,
			"the certificate and its key are not readable: x509: malformed certificate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certs, key := tc.certs, tc.key
			if certs == nil {
				certs = tc.ca.chain.PEM()
			}
			if key == nil {
				key = tc.ca.keyPEM(t)
			}
			_, err := gen.LoadAuthority(certs, key, now)
			require.EqualError(t, err, tc.want)
		})
	}
}

func TestAnAuthorityThatMayNotSignForTheServerIsFoundOut(t *testing.T) {
	t.Parallel()
	narrow := func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.com"}, true
	}
	for name, tc := range map[string]struct {
		ca   *somebody
		want string
	}{
		"by the path length above it": {
			newRoot(t, func(c *x509.Certificate) { c.MaxPathLenZero = true }).intermediate(t, "below", nil),
			"checking the new certificate: chain: the certificate does not lead to a CA of the set: too many intermediates for path length " +
				"constraint",
		},
		"by its name constraints": {
			newRoot(t, narrow),
			`checking the new certificate: chain: the certificate does not lead to a CA of the set: a root or intermediate certificate is not ` +
				`authorized to sign for this name: DNS name "registry-webhook.kthena-system.svc"`,
		},
		"by the constraints above it": {
			newRoot(t, narrow).intermediate(t, "below", nil),
			`checking the new certificate: chain: the certificate does not lead to a CA of the set: a root or intermediate certificate is not ` +
				`authorized to sign for this name: DNS name "registry-webhook.kthena-system.svc"`,
		},
		"by its extended key usage": {
			newRoot(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			"checking the new certificate: usage: the certificate or its CA is not for server authentication",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := gen.LoadAuthority(tc.ca.chain.PEM(), tc.ca.keyPEM(t), now)
			require.NoError(t, err)
			_, err = a.Issue(spec(gen.ECDSA, 0), now)
			require.ErrorContains(t, err, tc.want)
			assert.Equal(t, 0, strings.Count(err.Error(), "\n"))
		})
	}
}

func TestAssembleTakesWhatACASigned(t *testing.T) {
	t.Parallel()
	root := newRoot(t, nil)
	issuing := root.intermediate(t, "issuing", nil)
	stranger := newRoot(t, nil)
	r, err := gen.NewRequest(spec(gen.ECDSA, 0))
	require.NoError(t, err)
	other, err := gen.NewRequest(spec(gen.ECDSA, 0))
	require.NoError(t, err)
	answer := issuing.sign(t, r.CSR, nil)
	all := issuing.chain.PEM()
	top := root.chain.PEM()
	for name, tc := range map[string]struct {
		cert, key, cas []byte
		want           string // empty: accepted
	}{
		"with the chain in the CA's file":        {cert: answer, cas: all},
		"with the chain beside the certificate":  {cert: append(append([]byte("text\n"), answer...), issuing.chain[:1].PEM()...), cas: top},
		"with all of it in both":                 {cert: append(append([]byte{}, answer...), all...), cas: all},
		"and refuses one whose chain is missing": {answer, nil, top, "chain: no CA of the set has signed the certificate"},
		"and refuses one of another CA":          {answer, nil, stranger.chain.PEM(), "chain: no CA of the set has signed the certificate"},
		"and trusts none that came with it": {
			append(append([]byte{}, answer...), all...), nil, stranger.chain.PEM(), "chain: no CA of the set has signed the certificate",
		},
		"and refuses one for another key": {
			answer, other.Key, all, "key-mismatch: the private key does not belong to the certificate",
		},
		"and refuses one without a name": {
			issuing.sign(t, r.CSR, func(c *x509.Certificate) { c.DNSNames = names[:1] }), nil, all,
			"dns-names: the certificate is not for " + names[1] + ": it is for " + names[0],
		},
		"and refuses one for clients": {
			issuing.sign(t, r.CSR, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), nil, all,
			"usage: the certificate or its CA is not for server authentication",
		},
		"and refuses one that has expired": {
			issuing.sign(t, r.CSR, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), nil, all,
			"expired: the certificate expired on 2026-11-24T08:29:00Z",
		},
		"and refuses what is no certificate": {
			[]byte("no certificate"), nil, all,
			"malformed: the certificate and its key are not readable: failed to find any PEM data in certificate input",
		},
		"and refuses a CA's file without certificates": {answer, nil, r.Key, "the CA set holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := tc.key
			if key == nil {
				key = r.Key
			}
			b, err := gen.Assemble(tc.cert, key, tc.cas, names, now)
			if tc.want != "" {
				require.EqualError(t, err, tc.want)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, string(top), string(b.CA))
			assert.Equal(t, string(answer)+string(issuing.chain[:1].PEM()), string(b.Cert))
			require.NoError(t, handshake(b, names, now))
		})
	}
}
