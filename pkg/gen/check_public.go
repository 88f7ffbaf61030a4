package gen

import (
	"crypto/x509"
	"encoding/pem"
	"time"
)

// CheckPublic is [Check] for who may not see the key: all but whether it belongs to the certificate.
func CheckPublic(cert, ca []byte, names []string, now time.Time) Validation {
	var v Validation
	v.parseCAs(ca)
	if !v.present("the certificate", cert) || !v.parseChain(cert) {
		return v.sorted()
	}
	v.checkCertificate(names, now)
	return v.sorted()
}

// parseChain reads a certificate chain without its key, from the same PEM blocks as tls.X509KeyPair.
func (v *Validation) parseChain(cert []byte) bool {
	for rest := cert; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != blockCertificate {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			v.fault(Malformed, "the certificate is not readable: %v", err)
			return false
		}
		v.Chain = append(v.Chain, c)
	}
	if len(v.Chain) == 0 {
		v.fault(Malformed, "%s", noCertificate("the certificate", cert))
		return false
	}
	v.Leaf = v.Chain[0]
	return true
}
