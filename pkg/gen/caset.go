package gen

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"slices"
	"time"
)

// Merge joins two CA sets: all of ours first, in their order, then those of others, newest first, each once. Certificates
// that have expired at now are left out, and nothing else is: whatever a certificate is served under that is valid stays
// trusted, however many there are. Whether the set fits into the object that is to hold it is for the caller to find out, who
// must then rather not write it than write less.
func Merge(ours, others []*x509.Certificate, now time.Time) []*x509.Certificate {
	others = slices.Clone(others)
	slices.SortStableFunc(others, func(a, b *x509.Certificate) int {
		// The second key makes the order the same for every writer.
		return cmp.Or(b.NotBefore.Compare(a.NotBefore), bytes.Compare(a.Raw, b.Raw))
	})
	var set []*x509.Certificate
	for _, c := range slices.Concat(ours, others) {
		if !now.After(c.NotAfter) && !Contains(set, c) {
			set = append(set, c)
		}
	}
	return set
}

// Contains reports whether c is one of set.
func Contains(set []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(set, c.Equal)
}

// ContainsAll reports whether every certificate of wanted that has not expired at now is one of set.
func ContainsAll(set, wanted []*x509.Certificate, now time.Time) bool {
	return !slices.ContainsFunc(wanted, func(c *x509.Certificate) bool {
		return !now.After(c.NotAfter) && !Contains(set, c)
	})
}
