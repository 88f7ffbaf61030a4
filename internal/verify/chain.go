package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Outcome is what verifying a certificate chain came to.
type Outcome struct {
	// Code is empty when the chain is good.
	Code Code
	// Detail says why it is not, as the end of a sentence about the certificate.
	Detail string
	// NotAfter is when it stops to be good, on the longest-lived path.
	NotAfter time.Time
}

// OutcomeOf is [gen.VerifyChain] in the terms of findings.
func OutcomeOf(chain, cas []*x509.Certificate, name string, now time.Time) Outcome {
	leaf := chain[0]
	_, notAfter, err := gen.VerifyChain(chain, cas, name, now)
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return Outcome{NotAfter: notAfter}
	case errors.As(err, &hostname):
		return Outcome{Code: WrongName, Detail: fmt.Sprintf("is for %s, not for %s", orNothing(leaf.DNSNames), name)}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return untimely(leaf, invalid.Cert, now)
	case errors.As(err, &unknown):
		return Outcome{Code: Untrusted, Detail: "was signed by no CA that is trusted"}
	}
	return Outcome{Code: Unusable, Detail: "cannot be used: " + strings.TrimPrefix(err.Error(), "x509: ")}
}

// untimely says which certificate of a chain is not valid now. A leaf that lies ahead and one that is over are told apart.
func untimely(leaf, c *x509.Certificate, now time.Time) Outcome {
	switch {
	case !c.Equal(leaf):
		detail := fmt.Sprintf("leads to a CA (%s) that is valid from %s to %s only", short(c), date(c.NotBefore), date(c.NotAfter))
		return Outcome{Code: Expired, Detail: detail}
	case now.Before(c.NotBefore):
		return Outcome{Code: NotYetValid, Detail: "is valid from " + date(c.NotBefore) + " only"}
	}
	return Outcome{Code: Expired, Detail: "expired on " + date(c.NotAfter)}
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no DNS name"
	}
	return strings.Join(names, ", ")
}

// last is when the last of certs ends.
func last(certs []*x509.Certificate) (end time.Time) {
	for _, c := range certs {
		if c.NotAfter.After(end) {
			end = c.NotAfter
		}
	}
	return end
}
