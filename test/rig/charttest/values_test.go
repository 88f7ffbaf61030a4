package charttest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMergedLaysValuesOverOthersWithoutChangingThem(t *testing.T) {
	t.Parallel()
	below := map[string]any{"a": map[string]any{"b": 1, "c": 2}, "d": 3}
	above := map[string]any{"a": map[string]any{"b": 4}, "d": map[string]any{"e": 5}}
	assert.Equal(t, map[string]any{"a": map[string]any{"b": 4, "c": 2}, "d": map[string]any{"e": 5}}, Merged(below, above))
	assert.Equal(t, map[string]any{"a": map[string]any{"b": 1, "c": 2}, "d": 3}, below)
	assert.Equal(t, above, Merged(nil, above))
	assert.Equal(t, below, Merged(below, nil))
}
