package gen

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
)

const (
	blockCertificate = "CERTIFICATE"
	blockPrivateKey  = "PRIVATE KEY"

	// maxPEM is what a Secret may hold in all (1 MiB, see corev1.MaxSecretSize); it
	// bounds the work that material from elsewhere can cause.
	maxPEM = 1 << 20
)

// ParseCertificates returns the certificates in data, in their order, without repetitions. It is as tolerant as
// x509.CertPool.AppendCertsFromPEM, which the API server reads a CA bundle with: other blocks, blocks with headers and
// text around them are passed over. The second result counts CERTIFICATE blocks that are not certificates.
func ParseCertificates(data []byte) (certs []*x509.Certificate, malformed int) {
	seen := map[string]bool{}
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != blockCertificate || len(block.Headers) != 0 {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			malformed++
			continue
		}
		if !seen[string(cert.Raw)] {
			seen[string(cert.Raw)] = true
			certs = append(certs, cert)
		}
	}
	return certs, malformed
}

// firstCertificate is the one that tls.X509KeyPair compares with a key, nil when it is not readable.
func firstCertificate(chain []byte) *x509.Certificate {
	block, rest := pem.Decode(chain)
	for block != nil && block.Type != blockCertificate {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return c
}

// EncodeCertificates is the PEM form of certs, in their order.
func EncodeCertificates(certs []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(encode(blockCertificate, c.Raw))
	}
	return b.Bytes()
}

// Fingerprint is the SHA-256 hash of the certificate's DER form, as "sha256:" and 64 hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}
