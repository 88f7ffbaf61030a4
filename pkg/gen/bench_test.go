package gen_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// RSA is left out: how long the search for primes takes is a matter of luck.
var benchmarked = []struct {
	name string
	spec gen.Spec
}{
	{"ECDSA-256", spec(gen.ECDSA, 256)},
	{"ECDSA-384", spec(gen.ECDSA, 384)},
	{"Ed25519", spec(gen.Ed25519, 0)},
}

func BenchmarkGenerate(b *testing.B) {
	for _, c := range benchmarked {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustGenerate(b, c.spec, now)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, c := range benchmarked {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			bundle := mustGenerate(b, c.spec, now)
			for b.Loop() {
				require.True(b, gen.Check(bundle, names, now).OK())
			}
		})
	}
}

// BenchmarkMerge joins a new CA to the set that a few renewals have made.
func BenchmarkMerge(b *testing.B) {
	b.ReportAllocs()
	set := cas(b, 8)
	own, _ := gen.ParseCertificates(mustGenerate(b, spec(gen.ECDSA, 256), now).CA)
	for b.Loop() {
		own.Merge(set, now)
	}
}
