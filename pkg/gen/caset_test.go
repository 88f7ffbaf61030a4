package gen_test

import (
	"bytes"
	"crypto/x509"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// cas makes n CAs, the first the oldest, an hour between each and the next.
func cas(t testing.TB, n int) gen.CASet {
	t.Helper()
	var set gen.CASet
	for i := range n {
		at := now.Add(time.Duration(i-n) * time.Hour)
		set = append(set, gen.Check(mustGenerate(t, spec(gen.ECDSA, 0), at), names, at).CAs[0])
	}
	return set
}

func TestMerge(t *testing.T) {
	t.Parallel()
	c := cas(t, 12)
	expired := func() *x509.Certificate {
		s := spec(gen.ECDSA, 0)
		s.Validity = time.Hour
		at := now.Add(-2 * time.Hour)
		return gen.Check(mustGenerate(t, s, at), names, at).CAs[0]
	}()
	type set = gen.CASet
	for name, tc := range map[string]struct {
		ours, others, want set
	}{
		"puts ours first and the others newest first": {ours: set{c[1]}, others: set{c[0], c[3], c[2]}, want: set{c[1], c[3], c[2], c[0]}},
		"keeps the order of ours":                     {ours: set{c[0], c[5]}, want: set{c[0], c[5]}},
		"holds each certificate once":                 {ours: set{c[1], c[1]}, others: set{c[2], c[1], c[2]}, want: set{c[1], c[2]}},
		"drops what has expired":                      {ours: set{c[1], expired}, others: set{expired, c[0]}, want: set{c[1], c[0]}},
		"drops no other, however many there are": {
			ours: set{c[0]}, others: c[1:], want: set{c[0], c[11], c[10], c[9], c[8], c[7], c[6], c[5], c[4], c[3], c[2], c[1]},
		},
		"never drops one of ours":        {ours: c, others: nil, want: c},
		"is empty when there is nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := append(set(nil), tc.others...)
			assert.Equal(t, fingerprints(tc.want), fingerprints(tc.ours.Merge(tc.others, now)))
			assert.Equal(t, before, tc.others, "the arguments are left as they are")
		})
	}
}

func TestMergeDoesNotDependOnTheOrderOfOthers(t *testing.T) {
	t.Parallel()
	c := cas(t, 12)
	want := c[:1].Merge(c[1:], now)
	for range 20 {
		others := append(gen.CASet(nil), c[1:]...)
		rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		require.Equal(t, fingerprints(want), fingerprints(c[:1].Merge(others, now)))
	}
}

func TestContainsAll(t *testing.T) {
	t.Parallel()
	c := cas(t, 3)
	assert.True(t, c.ContainsAll(c[1:], now))
	assert.False(t, c[1:].ContainsAll(c, now))
	assert.True(t, gen.CASet(nil).ContainsAll(c, now.Add(2*gen.DefaultValidity)), "what has expired is not missed")
	assert.True(t, gen.CASet(nil).ContainsAll(nil, now))
}

func TestTrustingKeepsTheOldCAs(t *testing.T) {
	t.Parallel()
	old := mustGenerate(t, spec(gen.ECDSA, 0), now.Add(-time.Hour))
	oldCAs, malformed := gen.ParseCertificates(old.CA)
	require.Zero(t, malformed)
	fresh := mustGenerate(t, spec(gen.ECDSA, 0), now)
	b := fresh.Trusting(oldCAs, now)
	require.True(t, bytes.HasPrefix(b.CA, fresh.CA), "the CA that signed the certificate comes first")
	require.NoError(t, handshake(b, names, now))
	require.NoError(
		t, handshake(gen.Bundle{CA: b.CA, Cert: old.Cert, Key: old.Key}, names, now), "a server with the old certificate is still trusted",
	)
}

func fingerprints(set []*x509.Certificate) []string {
	out := []string{}
	for _, c := range set {
		out = append(out, gen.Fingerprint(c))
	}
	return out
}
