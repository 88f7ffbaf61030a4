package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePictureIsOfTheCommittedRatios(t *testing.T) {
	t.Parallel()
	drawn, err := drawRatios(t.Context(), root)
	require.NoError(t, err)
	picture, err := os.ReadFile(filepath.Join(root, pictures["ratios"].file))
	require.NoError(t, err)
	assert.Equal(t, string(picture), string(drawn), "make bench UPDATE=1 writes both")
	assert.Less(t, len(picture), 10<<10)
}

func TestAPictureShowsEveryBoundAndEveryCase(t *testing.T) {
	t.Parallel()
	all := ratios{"binary": {2.4}}
	for _, which := range []string{cold, warm} {
		for _, measure := range []string{"wall", "cpu", "rss"} {
			all[which+" "+measure] = ratio{1.5}
		}
	}
	drawn, err := all.draw()
	require.NoError(t, err)
	for _, text := range []string{"wall time", "CPU time", "peak RSS", "binary", "cold", "warm", "bound", "prefers-color-scheme"} {
		assert.Contains(t, string(drawn), text)
	}
	again, err := all.draw()
	require.NoError(t, err)
	assert.Equal(t, string(drawn), string(again), "the same twice")
	all["cold cpu"] = ratio{1.6}
	changed, err := all.draw()
	require.NoError(t, err)
	assert.NotEqual(t, string(drawn), string(changed))
	delete(all, "cold cpu")
	_, err = all.draw()
	assert.EqualError(t, err, "hack/bench/baseline.json has no ratio cold cpu: run make bench UPDATE=1")
}
