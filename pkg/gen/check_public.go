package gen

import (
	"crypto/x509"
	"encoding/pem"
	"time"
)

// CheckPublic is [Check] for who may not see the key: all but whether it belongs to the certificate.
func CheckPublic(cert, ca []byte, names []string, now time.Time) Report {
	var r Report
	r.parseCAs(ca)
	if !r.present("the certificate", cert) || !r.parseChain(cert) {
		return r.sorted()
	}
	r.checkCertificate(names, now)
	return r.sorted()
}

// parseChain reads a certificate chain without its key, from the same PEM blocks as tls.X509KeyPair.
func (r *Report) parseChain(cert []byte) bool {
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
			r.fault(Malformed, "the certificate is not readable: %v", err)
			return false
		}
		r.Chain = append(r.Chain, c)
	}
	if len(r.Chain) == 0 {
		r.fault(Malformed, "%s", noCertificate("the certificate", cert))
		return false
	}
	r.Leaf = r.Chain[0]
	return true
}
