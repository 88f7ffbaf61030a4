// Package gentest makes certificates for tests that package gen would not make.
package gentest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// LargeCA makes a CA certificate, valid from at for a validity, whose PEM form has at most size bytes and hardly fewer. The size
// must be above 2000.
func LargeCA(t testing.TB, size int, at time.Time, validity time.Duration) *x509.Certificate {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "large"}, NotBefore: at, NotAfter: at.Add(validity), IsCA: true, BasicConstraintsValid: true,
		// A line of PEM has 64 characters for 48 bytes.
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, size*48/65-500)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	c, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}
