package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/gen/gentest"
)

// material is what somebody has stored for a site.
type material func(t *testing.T, s *site) gen.Bundle

// names are what the site's server is called by.
func (s *site) names() []string {
	return []string{"webhook." + s.namespace + ".svc", "webhook." + s.namespace + ".svc.cluster.local"}
}

// good is what the program makes.
func good(t *testing.T, s *site) gen.Bundle {
	return made(t, gen.DefaultValidity, time.Now(), s.names()...)
}

// ofADay is good for another day.
func ofADay(t *testing.T, s *site) gen.Bundle { return made(t, 24*time.Hour, time.Now(), s.names()...) }

// full is good, and its CA set leaves no room for another CA in a Secret.
func full(t *testing.T, s *site) gen.Bundle {
	b := good(t, s)
	room := corev1.MaxSecretSize - len(b.CA) - len(b.Cert) - len(b.Key)
	b.CA = append(b.CA, gen.CASet{gentest.LargeCA(t, room, time.Now().Add(-time.Hour), gen.DefaultValidity)}.PEM()...)
	return b
}

// faults are materials that no client accepts, one for each code.
var faults = map[gen.FaultCode]material{
	gen.Malformed: func(t *testing.T, s *site) gen.Bundle {
		b := good(t, s)
		b.CA = []byte("no CA")
		return b
	},
	gen.KeyMismatch: func(t *testing.T, s *site) gen.Bundle {
		b := good(t, s)
		b.Key = good(t, s).Key
		return b
	},
	gen.KeyType: func(t *testing.T, s *site) gen.Bundle {
		return signed(t, s, elliptic.P224(), x509.ExtKeyUsageServerAuth)
	},
	gen.Chain: func(t *testing.T, s *site) gen.Bundle {
		b := good(t, s)
		b.CA = good(t, s).CA
		return b
	},
	gen.Usage: func(t *testing.T, s *site) gen.Bundle {
		return signed(t, s, elliptic.P256(), x509.ExtKeyUsageClientAuth)
	},
	gen.DNSNames: func(t *testing.T, s *site) gen.Bundle {
		return made(t, gen.DefaultValidity, time.Now(), s.names()[0])
	},
	gen.NotYetValid: func(t *testing.T, s *site) gen.Bundle {
		return made(t, gen.DefaultValidity, time.Now().Add(24*time.Hour), s.names()...)
	},
	gen.Expired: func(t *testing.T, s *site) gen.Bundle {
		return made(t, 24*time.Hour, time.Now().Add(-48*time.Hour), s.names()...)
	},
}

// made is what the program makes at a time.
func made(t *testing.T, validity time.Duration, at time.Time, names ...string) gen.Bundle {
	t.Helper()
	b, err := gen.Generate(gen.Spec{DNSNames: names, Validity: validity, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, at)
	require.NoError(t, err)
	return b
}

// signed is a certificate that the program would not make, of a key on the curve and for the usage, by a CA that it would.
func signed(t *testing.T, s *site, curve elliptic.Curve, usage x509.ExtKeyUsage) gen.Bundle {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(gen.DefaultValidity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.Raw, err = x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	require.NoError(t, err)
	ca, err = x509.ParseCertificate(ca.Raw)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{
		DNSNames: s.names(), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	leaf.Raw, err = x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	require.NoError(t, err)
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	return gen.Bundle{
		CA:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}),
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
	}
}
