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
// text around them are passed over. The second result is what the other CERTIFICATE blocks hold, in the same way: it is no certificate
// to this program, but may be one to an API server that was built with another Go.
func ParseCertificates(data []byte) (certs CASet, unreadable [][]byte) {
	seen := map[string]bool{}
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != blockCertificate || len(block.Headers) != 0 {
			continue
		}
		if seen[string(block.Bytes)] {
			continue
		}
		seen[string(block.Bytes)] = true
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, cert)
		} else {
			unreadable = append(unreadable, block.Bytes)
		}
	}
	return certs, unreadable
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

// PEM is the form in which the set is stored, in its order, and after it what ParseCertificates found unreadable.
func (s CASet) PEM(unreadable ...[]byte) []byte {
	var b bytes.Buffer
	b.Write(encodeCertificates(s))
	for _, der := range unreadable {
		b.Write(encode(blockCertificate, der))
	}
	return b.Bytes()
}

// encodeCertificates is the PEM form of certs, in their order.
func encodeCertificates(certs []*x509.Certificate) []byte {
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
