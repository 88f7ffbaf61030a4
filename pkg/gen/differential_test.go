package gen_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// mutant is stored material with something done to it, and how it is looked at.
type mutant struct {
	name   string
	bundle gen.Bundle
	names  []string
	at     time.Time
}

// TestCheckAgreesWithRealClients holds Check against real TLS handshakes over a few hundred damaged, odd and good
// bundles: what it accepts must complete one under every name, what it refuses must not.
func TestCheckAgreesWithRealClients(t *testing.T) {
	t.Parallel()
	corpus := slices.Concat(damaged(t), odd(t), bitFlips(t, 120))
	require.GreaterOrEqual(t, len(corpus), 200)
	accepted := 0
	for _, m := range corpus {
		t.Run(m.name, func(t *testing.T) {
			r, err := gen.Check(m.bundle, m.names, m.at), handshake(m.bundle, m.names, m.at)
			require.Equal(t, err == nil, r.OK(), "check: %v, handshake: %v", r.Faults, err)
			if r.OK() {
				accepted++
				require.False(t, r.NotAfter.Before(m.at))
			}
		})
	}
	require.Greater(t, accepted, 30, "a corpus that is refused as a whole proves little")
	require.Less(t, accepted, len(corpus)-100)
}

// damaged is what one or two edits make of good bundles of every kind of key.
func damaged(t *testing.T) []mutant {
	var all []mutant
	edits := map[string]func(b, other gen.Bundle) gen.Bundle{
		"as it is":               func(b, _ gen.Bundle) gen.Bundle { return b },
		"no CA":                  func(b, _ gen.Bundle) gen.Bundle { b.CA = nil; return b },
		"no certificate":         func(b, _ gen.Bundle) gen.Bundle { b.Cert = nil; return b },
		"no key":                 func(b, _ gen.Bundle) gen.Bundle { b.Key = nil; return b },
		"another CA":             func(b, o gen.Bundle) gen.Bundle { b.CA = o.CA; return b },
		"another certificate":    func(b, o gen.Bundle) gen.Bundle { b.Cert = o.Cert; return b },
		"another key":            func(b, o gen.Bundle) gen.Bundle { b.Key = o.Key; return b },
		"another pair":           func(b, o gen.Bundle) gen.Bundle { b.Cert, b.Key = o.Cert, o.Key; return b },
		"two CAs":                func(b, o gen.Bundle) gen.Bundle { b.CA = slices.Concat(o.CA, b.CA); return b },
		"the leaf as CA":         func(b, _ gen.Bundle) gen.Bundle { b.CA = b.Cert; return b },
		"the CA as leaf":         func(b, _ gen.Bundle) gen.Bundle { b.Cert = b.CA; return b },
		"the CA behind the leaf": func(b, _ gen.Bundle) gen.Bundle { b.Cert = slices.Concat(b.Cert, b.CA); return b },
		"the leaf behind the CA": func(b, _ gen.Bundle) gen.Bundle { b.Cert = slices.Concat(b.CA, b.Cert); return b },
		"CRLF": func(b, _ gen.Bundle) gen.Bundle {
			return each(b, func(p []byte) []byte { return bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")) })
		},
		"text around": func(b, _ gen.Bundle) gen.Bundle {
			return each(b, func(p []byte) []byte { return slices.Concat([]byte("text\n"), p, []byte("text")) })
		},
		"cut in half":              func(b, _ gen.Bundle) gen.Bundle { return each(b, func(p []byte) []byte { return p[:len(p)/2] }) },
		"a CA cut in half":         func(b, _ gen.Bundle) gen.Bundle { b.CA = b.CA[:len(b.CA)/2]; return b },
		"garbage behind the chain": func(b, _ gen.Bundle) gen.Bundle { b.Cert = slices.Concat(b.Cert, pemCert([]byte("x"))); return b },
		"garbage before the CA":    func(b, _ gen.Bundle) gen.Bundle { b.CA = slices.Concat(pemCert([]byte("x")), b.CA); return b },
		"the key among the CAs":    func(b, _ gen.Bundle) gen.Bundle { b.CA = slices.Concat(b.Key, b.CA); return b },
		"the key behind the leaf":  func(b, _ gen.Bundle) gen.Bundle { b.Cert = slices.Concat(b.Cert, b.Key); return b },
		"an encrypted key":         func(b, _ gen.Bundle) gen.Bundle { b.Key = relabel(b.Key, "ENCRYPTED PRIVATE KEY"); return b },
		"a key by another label":   func(b, _ gen.Bundle) gen.Bundle { b.Key = relabel(b.Key, "RSA PRIVATE KEY"); return b },
		"a certificate relabelled": func(b, _ gen.Bundle) gen.Bundle { b.Cert = relabel(b.Cert, "X509 CERTIFICATE"); return b },
	}
	for _, key := range []gen.KeySpec{
		{Algorithm: gen.ECDSA}, {Algorithm: gen.ECDSA, Size: 384}, {Algorithm: gen.RSA}, {Algorithm: gen.Ed25519},
	} {
		b, other := mustGenerate(t, spec(key.Algorithm, key.Size), now), mustGenerate(t, spec(key.Algorithm, key.Size), now)
		for name, edit := range edits {
			all = append(all, mutant{fmt.Sprintf("%s %d: %s", key.Algorithm, key.Size, name), edit(b, other), names, now})
		}
		for name, at := range map[string]time.Time{
			"before its time": now.Add(-2 * time.Hour), "in its first second": now.Add(-time.Hour),
			"in its last second": now.Add(gen.DefaultValidity), "after its time": now.Add(gen.DefaultValidity + 2*time.Second),
		} {
			all = append(all, mutant{fmt.Sprintf("%s %d: %s", key.Algorithm, key.Size, name), b, names, at})
		}
		all = append(
			all, mutant{key.Algorithm + ": called by another name", b, []string{"other.svc"}, now},
			mutant{key.Algorithm + ": called by one name too many", b, append([]string{"other.svc"}, names...), now},
		)
	}
	return all
}

// odd is what other tools or people could have stored.
func odd(t *testing.T) []mutant {
	var all []mutant
	add := func(name string, b gen.Bundle) { all = append(all, mutant{name, b, names, now}) }
	p := newPKI(t)
	for name, change := range map[string]func(*x509.Certificate){
		"no usage at all":              func(l *x509.Certificate) { l.KeyUsage, l.ExtKeyUsage = 0, nil },
		"any usage":                    func(l *x509.Certificate) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} },
		"for clients":                  func(l *x509.Certificate) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
		"for both":                     func(l *x509.Certificate) { l.ExtKeyUsage = append(l.ExtKeyUsage, x509.ExtKeyUsageClientAuth) },
		"key agreement only":           func(l *x509.Certificate) { l.KeyUsage = x509.KeyUsageKeyAgreement },
		"a CA as server":               func(l *x509.Certificate) { l.IsCA, l.BasicConstraintsValid = true, true },
		"no names":                     func(l *x509.Certificate) { l.DNSNames = nil },
		"the name in the subject only": func(l *x509.Certificate) { l.DNSNames, l.Subject.CommonName = nil, names[0] },
		"one name":                     func(l *x509.Certificate) { l.DNSNames = names[:1] },
		"upper-case names":             func(l *x509.Certificate) { l.DNSNames = []string{"REGISTRY-WEBHOOK.kthena-system.svc", names[1]} },
		"a wildcard for one":           func(l *x509.Certificate) { l.DNSNames = []string{"*.kthena-system.svc", names[1]} },
		"a wildcard too wide":          func(l *x509.Certificate) { l.DNSNames = []string{"*.svc", names[1]} },
		"expired":                      func(l *x509.Certificate) { l.NotAfter = now.Add(-time.Second) },
		"not valid yet":                func(l *x509.Certificate) { l.NotBefore = now.Add(time.Second) },
	} {
		add("leaf: "+name, p.bundle(change))
	}
	for name, change := range map[string]func(*x509.Certificate){
		"not a CA":                  func(c *x509.Certificate) { c.IsCA = false },
		"no basic constraints":      func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false },
		"may not sign certificates": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign },
		"for clients":               func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
		"expired":                   func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) },
		"not valid yet":             func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) },
		"for other domains": func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.com"}, true
		},
		"for our domain": func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"kthena-system.svc", "svc.cluster.local"}, true
		},
		"without our domain": func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"svc"} },
		"path length zero":   func(c *x509.Certificate) { c.MaxPathLenZero = true },
	} {
		root := p.ca(t, change)
		add("root: "+name, issued(t, root.cert, root))
		ca := p.ca(t, change)
		key := newKey(t)
		inter := authority{sign(t, ca.cert, p.root.cert, key, p.root.key), key}
		b := issued(t, p.root.cert, inter)
		add("intermediate, missing: "+name, b)
		b.Cert = slices.Concat(b.Cert, pemCert(inter.cert.Raw))
		add("intermediate: "+name, b)
		b.CA = pemCert(inter.cert.Raw)
		add("intermediate as root: "+name, b)
	}
	// A bare self-signed certificate, as cert-manager's SelfSigned issuer makes them.
	self := selfSigned(t, leafTemplate())
	add("self-signed leaf", gen.Bundle{CA: pemCert(self.cert.Raw), Cert: pemCert(self.cert.Raw), Key: pemKey(t, self.key)})
	for name, key := range map[string]crypto.Signer{
		"P-224": ecKey(t, elliptic.P224()), "P-521": ecKey(t, elliptic.P521()), "RSA 1024": rsaKey(t, 1024), "Ed25519": edKey(t),
	} {
		cert := sign(t, leafTemplate(), p.root.cert, key, p.root.key)
		b := gen.Bundle{CA: pemCert(p.root.cert.Raw), Cert: pemCert(cert.Raw), Key: pemKey(t, key)}
		add("leaf key "+name, b)
	}
	// The older forms of keys.
	ec := ecKey(t, elliptic.P256())
	der, err := x509.MarshalECPrivateKey(ec.(*ecdsa.PrivateKey))
	require.NoError(t, err)
	add(
		"a SEC 1 key",
		gen.Bundle{
			CA:   pemCert(p.root.cert.Raw),
			Cert: pemCert(sign(t, leafTemplate(), p.root.cert, ec, p.root.key).Raw),
			Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		},
	)
	old := rsaKey(t, 2048)
	der = x509.MarshalPKCS1PrivateKey(old.(*rsa.PrivateKey))
	add(
		"a PKCS #1 key",
		gen.Bundle{
			CA:   pemCert(p.root.cert.Raw),
			Cert: pemCert(sign(t, leafTemplate(), p.root.cert, old, p.root.key).Raw),
			Key:  pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}),
		},
	)
	return all
}

// bitFlips changes one byte of the DER form of a part, n times, always the same ones.
func bitFlips(t *testing.T, n int) []mutant {
	var all []mutant
	b := mustGenerate(t, spec(gen.ECDSA, 0), now)
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for i := range n {
		m := b
		part := []*[]byte{&m.CA, &m.Cert, &m.Key}[i%3]
		block, _ := pem.Decode(*part)
		at := random.IntN(len(block.Bytes))
		block.Bytes[at] ^= 1 << random.IntN(8)
		*part = pem.EncodeToMemory(block)
		all = append(all, mutant{fmt.Sprintf("bit flip %d in part %d at %d", i, i%3, at), m, names, now})
	}
	return all
}

func each(b gen.Bundle, edit func([]byte) []byte) gen.Bundle {
	return gen.Bundle{CA: edit(b.CA), Cert: edit(b.Cert), Key: edit(b.Key)}
}

func relabel(data []byte, label string) []byte {
	block, _ := pem.Decode(data)
	block.Type = label
	return pem.EncodeToMemory(block)
}

// issued is a good server certificate of a, with root as the CA set.
func issued(t testing.TB, root *x509.Certificate, a authority) gen.Bundle {
	cert, key := a.issue(t, leafTemplate())
	return gen.Bundle{CA: pemCert(root.Raw), Cert: pemCert(cert.Raw), Key: pemKey(t, key)}
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}

func edKey(t *testing.T) crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}
