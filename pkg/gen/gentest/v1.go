package gentest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// body is what is signed of a certificate of X.509 version 1 (RFC 5280, section 4.1), which has no version and no extensions.
type body struct {
	Serial    *big.Int
	Algorithm pkix.AlgorithmIdentifier
	Issuer    asn1.RawValue
	Validity  struct{ NotBefore, NotAfter time.Time }
	Subject   asn1.RawValue
	PublicKey asn1.RawValue
}

// V1 makes a self-signed certificate of X.509 version 1 for the key, valid from at for a validity.
func V1(t testing.TB, name string, key *ecdsa.PrivateKey, at time.Time, validity time.Duration) *x509.Certificate {
	t.Helper()
	require.Equal(t, elliptic.P256(), key.Curve)
	subject, err := asn1.Marshal(pkix.Name{CommonName: name}.ToRDNSequence())
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	b := body{
		Serial:    big.NewInt(1),
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, // ecdsa-with-SHA256
		Issuer:    asn1.RawValue{FullBytes: subject}, Subject: asn1.RawValue{FullBytes: subject}, PublicKey: asn1.RawValue{FullBytes: public},
	}
	b.Validity.NotBefore, b.Validity.NotAfter = at.UTC().Truncate(time.Second), at.Add(validity).UTC().Truncate(time.Second)
	signed, err := asn1.Marshal(b)
	require.NoError(t, err)
	hash := sha256.Sum256(signed)
	signature, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	require.NoError(t, err)
	der, err := asn1.Marshal(struct {
		Body      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: signed}, b.Algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}
