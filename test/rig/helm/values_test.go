package helm

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestValuesAreLaidOverEachOther(t *testing.T) {
	t.Parallel()
	got, err := Values("{a: {b: 1, c: 2}, d: 3}", map[string]any{"a": map[string]any{"b": 4}}, map[string]any{"d": "e"})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": map[string]any{"b": 4, "c": 2.0}, "d": "e"}, got)
	_, err = Values("{")
	require.ErrorContains(t, err, "parsing values: ")
}
