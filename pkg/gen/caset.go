package gen

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"slices"
	"time"
)

// MaxCAs is the most CA certificates that are kept in one set. Every connection to the server verifies against the
// set, and a set that only grows would in the end pass the size limit of the object that holds it.
const MaxCAs = 8

// Merge joins two CA sets: all of ours first, in their order, then those of others, newest first. Certificates that
// have expired at now are left out, and so are the oldest of others beyond MaxCAs; the second result counts the
// latter, because with each a certificate that may still be served loses its trust.
func Merge(ours, others []*x509.Certificate, now time.Time) (set []*x509.Certificate, crowded int) {
	for _, c := range ours {
		if !now.After(c.NotAfter) && !Contains(set, c) {
			set = append(set, c)
		}
	}
	others = slices.Clone(others)
	slices.SortStableFunc(others, func(a, b *x509.Certificate) int {
		// The second key makes the order, and so what is left out, the same for every writer.
		return cmp.Or(b.NotBefore.Compare(a.NotBefore), bytes.Compare(a.Raw, b.Raw))
	})
	for _, c := range others {
		switch {
		case now.After(c.NotAfter) || Contains(set, c):
		case len(set) >= MaxCAs:
			crowded++
		default:
			set = append(set, c)
		}
	}
	return set, crowded
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
