package gen_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

func TestCheckTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := mustGenerate(t, spec(gen.ECDSA, 0), now)
	other := mustGenerate(t, spec(gen.ECDSA, 0), now)
	p := newPKI(t)
	for name, tc := range map[string]struct {
		bundle gen.Bundle
		at     time.Time // zero: now
		names  []string  // nil: names
		want   []string
	}{
		"nothing with a fresh bundle": {bundle: good},
		"an empty bundle": {
			bundle: gen.Bundle{},
			want: []string{
				"malformed: the CA set is missing or empty",
				"malformed: the certificate is missing or empty",
				"malformed: the private key is missing or empty",
			},
		},
		"a CA set without a certificate": {
			bundle: gen.Bundle{CA: []byte("x"), Cert: good.Cert, Key: good.Key}, want: []string{"malformed: the CA set holds no certificate"},
		},
		"a certificate that is not PEM": {
			bundle: gen.Bundle{CA: good.CA, Cert: []byte("x"), Key: good.Key},
			want:   []string{"malformed: the certificate and its key are not readable: failed to find any PEM data in certificate input"},
		},
		"a key that is not PEM": {
			bundle: gen.Bundle{CA: good.CA, Cert: good.Cert, Key: []byte("x")},
			want:   []string{"malformed: the certificate and its key are not readable: failed to find any PEM data in key input"},
		},
		"a part that is too large": {
			bundle: gen.Bundle{CA: bytes.Repeat([]byte("#"), 1<<20+1), Cert: good.Cert, Key: good.Key},
			want:   []string{"malformed: the CA set has 1048577 bytes: at most 1048576 are allowed"},
		},
		"a key of another certificate": {
			bundle: gen.Bundle{CA: good.CA, Cert: good.Cert, Key: other.Key},
			want:   []string{"key-mismatch: the private key does not belong to the certificate"},
		},
		"an encrypted PKCS#8 key": {
			bundle: gen.Bundle{CA: good.CA, Cert: good.Cert, Key: pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})},
			want:   []string{"malformed: the private key is encrypted: store it without a passphrase"},
		},
		"an encrypted key of the old form": {
			bundle: gen.Bundle{
				CA:   good.CA,
				Cert: good.Cert,
				Key: pem.EncodeToMemory(
					&pem.Block{
						Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x"),
					},
				),
			},
			want: []string{"malformed: the private key is encrypted: store it without a passphrase"},
		},
		"a CA of the same name and no more": {
			bundle: gen.Bundle{CA: other.CA, Cert: good.Cert, Key: good.Key}, want: []string{"chain: no CA of the set has signed the certificate"},
		},
		"missing names, all of them": {bundle: good, names: []string{"a.svc", names[0], "b.svc"}, want: []string{
			"dns-names: the certificate is not for a.svc, b.svc: it is for registry-webhook.kthena-system.svc, " +
				"registry-webhook.kthena-system.svc.cluster.local"}},
		"a certificate without names": {
			bundle: p.bundle(func(l *x509.Certificate) { l.DNSNames = nil }),
			names:  []string{"a.svc"},
			want:   []string{"dns-names: the certificate is not for a.svc: it is for no DNS name"},
		},
		"an expired certificate": {
			bundle: good, at: now.Add(gen.DefaultValidity + time.Second), want: []string{"expired: the certificate expired on 2036-11-21T08:30:00Z"},
		},
		"one that is not valid yet": {
			bundle: good,
			at:     now.Add(-61 * time.Minute),
			want:   []string{"not-yet-valid: the certificate is valid from 2026-11-24T07:30:00Z, and it is 2026-11-24T07:29:00Z"},
		},
		"an expired CA": {
			bundle: p.bundle(func(l *x509.Certificate) { l.NotAfter = now.Add(99 * time.Hour) }),
			at:     now.Add(98 * time.Hour),
			want:   []string{"expired: a CA that the certificate leads to is not valid at 2026-11-28T10:30:00Z"},
		},
		"a client certificate": {
			bundle: p.bundle(func(l *x509.Certificate) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			want:   []string{"usage: the certificate or its CA is not for server authentication"},
		},
		"an ECDSA key that TLS has no name for": {bundle: func() gen.Bundle {
			key := ecKey(t, elliptic.P224())
			return gen.Bundle{
				CA: pemCert(p.root.cert.Raw), Cert: pemCert(sign(t, leafTemplate(), p.root.cert, key, p.root.key).Raw), Key: pemKey(t, key),
			}
		}(), want: []string{"key-type: an ECDSA key on curve P-224 cannot serve TLS: use P-256 or P-384"}},
		"a CA that is none": {
			bundle: p.under(func(c *x509.Certificate) { c.IsCA = false }), want: []string{"chain: no CA of the set has signed the certificate"},
		},
		"a CA that may not sign certificates": {
			bundle: p.under(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }),
			want:   []string{"chain: no CA of the set has signed the certificate"},
		},
		"a CA for clients": {
			bundle: p.under(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			want:   []string{"usage: the certificate or its CA is not for server authentication"},
		},
		"a CA for other names": {bundle: p.under(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }), want: []string{
			`chain: the certificate does not lead to a CA of the set: a root or intermediate certificate is not authorized to sign for this ` +
				`name: DNS name "` + names[0] + `" is not permitted by any constraint`}},
		"a CA below one that may have none below it": {
			bundle: p.tooDeep(),
			want:   []string{"chain: the certificate does not lead to a CA of the set: too many intermediates for path length constraint"},
		},
		"an unreadable certificate behind a good one": {bundle: gen.Bundle{
			CA: good.CA, Cert: append(bytes.Clone(good.Cert), pemCert([]byte("x"))...), Key: good.Key,
		}, want: []string{
			"malformed: the chain after the certificate is not readable: x509: malformed certificate"}},
		"all at once": {bundle: gen.Bundle{
			CA: other.CA, Cert: good.Cert, Key: good.Key,
		}, at: now.Add(2 * gen.DefaultValidity), names: []string{"a.svc"}, want: []string{
			"chain: no CA of the set has signed the certificate",
			"dns-names: the certificate is not for a.svc: it is for registry-webhook.kthena-system.svc, " +
				"registry-webhook.kthena-system.svc.cluster.local",
			"expired: the certificate expired on 2036-11-21T08:30:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, wanted := tc.at, tc.names
			if at.IsZero() {
				at = now
			}
			if wanted == nil {
				wanted = names
			}
			r := gen.Check(tc.bundle, wanted, at)
			var got []string
			for _, f := range r.Faults {
				got = append(got, f.String())
			}
			assert.Equal(t, tc.want, got)
			assert.Equal(t, len(tc.want) == 0, r.OK())
			if !r.OK() {
				assert.Error(t, handshake(tc.bundle, wanted, at), "a real client refuses it too")
			}
		})
	}
}

func TestCheckWarnsOfWhatClientsPutUpWith(t *testing.T) {
	t.Parallel()
	good := mustGenerate(t, spec(gen.ECDSA, 0), now)
	p := newPKI(t)
	old := p.ca(t, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) })
	later := p.ca(t, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) })
	for name, tc := range map[string]struct {
		bundle gen.Bundle
		names  []string
		want   string
	}{
		"an expired CA beside the good one": {
			gen.Bundle{CA: append(pemCert(old.cert.Raw), good.CA...), Cert: good.Cert, Key: good.Key},
			names,
			"the CA set holds a certificate that expired on 2026-11-24T07:30:00Z: " + gen.Fingerprint(old.cert),
		},
		"a CA beside the good one that is not valid yet": {
			gen.Bundle{CA: append(pemCert(later.cert.Raw), good.CA...), Cert: good.Cert, Key: good.Key},
			names,
			"the CA set holds a certificate that is valid from 2026-11-24T09:30:00Z only: " + gen.Fingerprint(later.cert),
		},
		"a certificate that is no CA beside the good one": {
			gen.Bundle{CA: append(bytes.Clone(good.CA), good.Cert...), Cert: good.Cert, Key: good.Key},
			names,
			"the CA set holds a certificate that is not a CA's: " + gen.Fingerprint(gen.Check(good, names, now).Leaf),
		},
		"a malformed certificate beside a good one": {
			gen.Bundle{CA: append(pemCert([]byte("x")), good.CA...), Cert: good.Cert, Key: good.Key},
			names,
			"the CA set holds 1 malformed certificates, which are ignored",
		},
		"a private key in the CA set": {
			gen.Bundle{CA: append(bytes.Clone(good.Key), good.CA...), Cert: good.Cert, Key: good.Key},
			names,
			"the CA set holds a private key, which is ignored: it does not belong there",
		},
		"an EC key in the CA set": {
			gen.Bundle{CA: append(relabel(good.Key, "EC PRIVATE KEY"), good.CA...), Cert: good.Cert, Key: good.Key},
			names,
			"the CA set holds a private key, which is ignored: it does not belong there",
		},
		"a private key behind the certificate of a CA": {
			gen.Bundle{CA: append(bytes.Clone(good.CA), good.Key...), Cert: good.Cert, Key: good.Key},
			names,
			"the CA set holds a private key, which is ignored: it does not belong there",
		},
		"a name that only a wildcard covers": {
			p.bundle(func(l *x509.Certificate) { l.DNSNames = []string{"*.ns.svc"} }), []string{"a.ns.svc"},
			"DNS name a.ns.svc is covered by a wildcard or another spelling only",
		},
		"a key usage without digital signature": {
			p.bundle(func(l *x509.Certificate) { l.KeyUsage = x509.KeyUsageKeyAgreement }), names,
			"the certificate's key usage lacks digitalSignature, which clients other than Go's ask for",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := gen.Check(tc.bundle, tc.names, now)
			require.Empty(t, r.Faults)
			assert.Equal(t, []string{tc.want}, r.Warnings)
			require.NoError(t, handshake(tc.bundle, tc.names, now), "a real client accepts it")
		})
	}
}

func TestNotAfterIsTheEndOfTheLongestPath(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	b := p.bundle(func(l *x509.Certificate) { l.NotAfter = now.Add(1000 * time.Hour) })
	assert.Equal(t, p.root.cert.NotAfter, gen.Check(b, names, now).NotAfter, "the CA ends before the certificate")

	// The same CA key once more, for longer: the certificate now has two paths.
	longer := *p.root.cert
	longer.NotAfter = now.Add(500 * time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &longer, &longer, p.root.key.Public(), p.root.key)
	require.NoError(t, err)
	b.CA = append(b.CA, pemCert(der)...)
	assert.Equal(t, now.Add(500*time.Hour), gen.Check(b, names, now).NotAfter)
}

func TestCheckAcceptsEveryFormThatClientsDo(t *testing.T) {
	t.Parallel()
	good := mustGenerate(t, spec(gen.ECDSA, 0), now)
	p := newPKI(t)
	withKey := func(key crypto.Signer, kind string, der []byte) gen.Bundle {
		return gen.Bundle{
			CA:   pemCert(p.root.cert.Raw),
			Cert: pemCert(sign(t, leafTemplate(), p.root.cert, key, p.root.key).Raw),
			Key:  pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}),
		}
	}
	ec, old := ecKey(t, elliptic.P256()).(*ecdsa.PrivateKey), rsaKey(t, 2048).(*rsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(ec)
	require.NoError(t, err)
	for name, b := range map[string]gen.Bundle{
		"CRLF at line ends": each(good, func(p []byte) []byte { return bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")) }),
		"text around": each(
			good, func(p []byte) []byte { return slices.Concat([]byte("text\n"), p, []byte("trailing garbage")) },
		),
		"a CA set of the largest size": {
			CA: append(bytes.Clone(good.CA), bytes.Repeat([]byte("#"), 1<<20-len(good.CA))...), Cert: good.Cert, Key: good.Key,
		},
		"a foreign block": each(good, func(p []byte) []byte {
			return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte("x")}), p)
		}),
		"a SEC 1 key":   withKey(ec, "EC PRIVATE KEY", sec1),
		"a PKCS #1 key": withKey(old, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(old)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, gen.Check(b, names, now).Faults)
			require.NoError(t, handshake(b, names, now), "a real client accepts it")
		})
	}
}

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	good := mustGenerate(t, spec(gen.ECDSA, 0), now)
	certs, malformed := gen.ParseCertificates(bytes.ReplaceAll(good.CA, []byte("\n"), []byte("\r\n")))
	assert.Len(t, certs, 1, "CRLF line ends")
	assert.Zero(t, malformed)
	certs, _ = gen.ParseCertificates([]byte("text before\n" + string(good.CA) + string(good.Key) + string(good.CA) + "text after"))
	assert.Len(t, certs, 1, "text, foreign blocks and repetitions are passed over")
	block, _ := pem.Decode(good.CA)
	block.Headers = map[string]string{"Comment": "x"}
	certs, malformed = gen.ParseCertificates(pem.EncodeToMemory(block))
	assert.Empty(t, certs, "the API server ignores blocks with headers")
	assert.Zero(t, malformed)
	assert.Equal(t, string(good.CA), string(gen.Check(good, names, now).CAs.PEM()))
	assert.NotContains(t, string(certs.PEM()), "PRIVATE KEY")
}

// pki is a CA of somebody else, as a corporate one or cert-manager's.
type pki struct {
	t    testing.TB
	root authority
}

func newPKI(t testing.TB) *pki {
	p := &pki{t: t}
	p.root = p.ca(t, func(*x509.Certificate) {})
	return p
}

// ca makes a CA that is valid for 96 hours.
func (p *pki) ca(t testing.TB, change func(*x509.Certificate)) authority {
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "somebody's CA"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(96 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	change(c)
	return selfSigned(t, c)
}

// bundle is a good server certificate of the CA but for the change.
func (p *pki) bundle(change func(leaf *x509.Certificate)) gen.Bundle {
	leaf := leafTemplate()
	change(leaf)
	cert, key := p.root.issue(p.t, leaf)
	return gen.Bundle{CA: pemCert(p.root.cert.Raw), Cert: pemCert(cert.Raw), Key: pemKey(p.t, key)}
}

// under is a good server certificate of a CA that is good but for the change.
func (p *pki) under(change func(ca *x509.Certificate)) gen.Bundle {
	ca := p.ca(p.t, change)
	return issued(p.t, ca.cert, ca)
}

// tooDeep is a good server certificate of an intermediate CA whose root allows none.
func (p *pki) tooDeep() gen.Bundle {
	root := p.ca(p.t, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	template := p.ca(p.t, func(c *x509.Certificate) { c.Subject.CommonName = "below" }).cert
	key := newKey(p.t)
	between := authority{sign(p.t, template, root.cert, key, root.key), key}
	b := issued(p.t, root.cert, between)
	b.Cert = append(b.Cert, pemCert(between.cert.Raw)...)
	return b
}

// A TLS server sends a PEM block that has headers, and a set of CAs passes it over.
func TestTheChainIsWhatATLSServerSends(t *testing.T) {
	t.Parallel()
	b, above := mustGenerate(t, spec(gen.ECDSA, 0), now), mustGenerate(t, spec(gen.ECDSA, 0), now)
	leaf, _ := gen.ParseCertificates(b.Cert)
	want, _ := gen.ParseCertificates(slices.Concat(b.Cert, above.CA))
	b.Cert = slices.Concat(withHeader(b.Cert), above.CA)
	r := gen.Check(b, names, now)
	require.Empty(t, r.Faults)
	assert.Equal(t, fingerprints(want), fingerprints(r.Chain))
	assert.Equal(t, r.Leaf, r.Chain[0])

	mismatched := gen.Check(gen.Bundle{CA: b.CA, Cert: b.Cert, Key: above.Key}, names, now)
	require.Equal(t, gen.KeyMismatch, mismatched.Faults[0].Code)
	assert.True(t, leaf[0].Equal(mismatched.Leaf), "the certificate that the key is compared with")
	assert.Nil(t, mismatched.Chain)

	b.Cert = append(b.Cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...)
	unreadable := gen.Check(b, names, now)
	assert.False(t, unreadable.OK())
	assert.NotNil(t, unreadable.Leaf)
	assert.Nil(t, unreadable.Chain)
}

func TestAnAnswerWithHeadersIsAssembled(t *testing.T) {
	t.Parallel()
	b, other := mustGenerate(t, spec(gen.ECDSA, 0), now), mustGenerate(t, spec(gen.ECDSA, 0), now)
	got, err := gen.Assemble(slices.Concat(withHeader(b.Cert), other.Cert), b.Key, slices.Concat(other.CA, b.CA), names, now)
	require.NoError(t, err)
	assert.Equal(t, b, got)
}

func TestTheRootIsTheCAThatTheCertificateLeadsTo(t *testing.T) {
	t.Parallel()
	b, other := mustGenerate(t, spec(gen.ECDSA, 0), now), mustGenerate(t, spec(gen.ECDSA, 0), now)
	signer, _ := gen.ParseCertificates(b.CA)
	b.CA = slices.Concat(other.CA, b.CA)
	r := gen.Check(b, names, now)
	require.NotNil(t, r.Root)
	assert.Equal(t, gen.Fingerprint(signer[0]), gen.Fingerprint(r.Root))
	b.CA = other.CA
	assert.Nil(t, gen.Check(b, names, now).Root)
}

// withHeader gives the first PEM block a header.
func withHeader(pem []byte) []byte {
	return bytes.Replace(pem, []byte("-----\n"), []byte("-----\nOrigin: somewhere\n\n"), 1)
}
