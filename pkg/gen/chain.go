package gen

import (
	"crypto/x509"
	"slices"
	"time"
)

// VerifyChain verifies what a server shows, its own certificate first, as crypto/tls does in kube-apiserver: against a set of CAs, by a
// name, or by none when that is empty, at a time. It returns when the chain stops to be good on its longest-lived path, and the one of
// the CAs that this path leads to. The error is that of [x509.Certificate.Verify].
func VerifyChain(chain, cas []*x509.Certificate, name string, now time.Time) (root *x509.Certificate, notAfter time.Time, err error) {
	paths, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: pool(cas), Intermediates: pool(chain[1:]), CurrentTime: now})
	for _, path := range paths {
		end := slices.MinFunc(path, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
		if end.After(notAfter) {
			root, notAfter = path[len(path)-1], end
		}
	}
	return root, notAfter, err
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}
