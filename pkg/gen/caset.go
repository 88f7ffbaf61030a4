package gen

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"slices"
	"time"
)

// CASet is a set of CA certificates in the order in which it is stored. A []*x509.Certificate can be assigned to one.
//
// It has no number that it may not pass: whatever a certificate is served under that is valid stays trusted, however many there
// are. Whether the set fits into the object that is to hold it is for the caller to find out, who must then rather not write it
// than write less.
type CASet []*x509.Certificate

// Merge joins two CA sets: all of s first, in its order, then those of others, newest first, each once. Certificates that
// have expired at now are left out, and nothing else is.
func (s CASet) Merge(others CASet, now time.Time) CASet {
	others = slices.Clone(others)
	slices.SortStableFunc(others, func(a, b *x509.Certificate) int {
		// The second key makes the order the same for every writer.
		return cmp.Or(b.NotBefore.Compare(a.NotBefore), bytes.Compare(a.Raw, b.Raw))
	})
	var set CASet
	for _, c := range slices.Concat(s, others) {
		if !now.After(c.NotAfter) && !set.Contains(c) {
			set = append(set, c)
		}
	}
	return set
}

// Contains reports whether c is one of the set.
func (s CASet) Contains(c *x509.Certificate) bool {
	return slices.ContainsFunc(s, c.Equal)
}

// ContainsAll reports whether every certificate of wanted that has not expired at now is one of the set.
func (s CASet) ContainsAll(wanted CASet, now time.Time) bool {
	return !slices.ContainsFunc(wanted, func(c *x509.Certificate) bool {
		return !now.After(c.NotAfter) && !s.Contains(c)
	})
}
