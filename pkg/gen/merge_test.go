package gen_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Two writers that read the same certificates in another order must write the same bytes, or each would undo what the other did.
func TestMergePutsCAsOfOneSecondIntoTheSameOrderForEveryWriter(t *testing.T) {
	t.Parallel()
	var set gen.CASet
	for range 3 {
		set = append(set, gen.Check(mustGenerate(t, spec(gen.ECDSA, 0), now), names, now).CAs[0])
	}
	for _, c := range set[1:] {
		require.Equal(t, set[0].NotBefore, c.NotBefore)
	}
	want := gen.CASet(nil).Merge(set, now)
	require.Len(t, want, 3)
	for _, order := range [][3]int{{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		got := gen.CASet(nil).Merge(gen.CASet{set[order[0]], set[order[1]], set[order[2]]}, now)
		assert.Equal(t, fingerprints(want), fingerprints(got), "order %v", order)
	}
}
