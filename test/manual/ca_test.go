package manual

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writeOwnCA writes the certificate and the key of a CA into a folder, as a reader has them who brings one: ca.crt and ca.key.
func writeOwnCA(t *testing.T, dir string) {
	t.Helper()
	cert, key := newCA(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	writePEM(t, filepath.Join(dir, "ca.crt"), "CERTIFICATE", cert.Raw)
	writePEM(t, filepath.Join(dir, "ca.key"), "PRIVATE KEY", der)
}

// signRequests is a corporate PKI: it signs every request in the folders below dir, with the names in it, puts the answer beside
// it and its CA's certificate into dir.
func signRequests(t *testing.T, dir string) {
	t.Helper()
	ca, key := newCA(t)
	writePEM(t, filepath.Join(dir, "corporate-ca.crt"), "CERTIFICATE", ca.Raw)
	requests, err := filepath.Glob(filepath.Join(dir, "*", "*", "tls.csr"))
	require.NoError(t, err)
	require.NotEmpty(t, requests)
	for i, path := range requests {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		block, _ := pem.Decode(content)
		require.NotNil(t, block, path)
		request, err := x509.ParseCertificateRequest(block.Bytes)
		require.NoError(t, err)
		require.NoError(t, request.CheckSignature())
		cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 1),
			DNSNames:     request.DNSNames,
			NotBefore:    time.Now().Add(-time.Hour),
			NotAfter:     time.Now().Add(24 * 90 * time.Hour),
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}, ca, request.PublicKey, key)
		require.NoError(t, err)
		writePEM(t, filepath.Join(filepath.Dir(path), "tls.crt"), "CERTIFICATE", cert)
	}
}

func newCA(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Example Corp Issuing CA"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * 365 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
