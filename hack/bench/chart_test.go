package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePictureIsOfTheCommittedRatios(t *testing.T) {
	t.Parallel()
	committed, err := readBaseline("baseline.json")
	require.NoError(t, err)
	drawn, err := drawChart(committed)
	require.NoError(t, err)
	picture, err := os.ReadFile("../../docs/performance.svg")
	require.NoError(t, err)
	assert.Equal(t, string(picture), string(drawn), "make bench UPDATE=1 writes both")
	assert.Less(t, len(picture), 10<<10)
}

func TestAPictureShowsEveryBoundAndEveryCase(t *testing.T) {
	t.Parallel()
	all := baseline{"binary": {2.4, 2.4, 2.4}}
	for _, which := range []string{cold, warm} {
		for _, measure := range []string{"wall", "cpu", "rss"} {
			all[which+" "+measure] = spread{1.5, 1.4, 1.6}
		}
	}
	svg, err := drawChart(all)
	require.NoError(t, err)
	for _, text := range []string{"wall time", "CPU time", "peak RSS", "binary", "cold", "warm", "bound", "prefers-color-scheme"} {
		assert.Contains(t, string(svg), text)
	}
	again, err := drawChart(all)
	require.NoError(t, err)
	assert.Equal(t, string(svg), string(again), "the same twice")
	all["cold cpu"] = spread{1.6, 1.4, 1.8}
	changed, err := drawChart(all)
	require.NoError(t, err)
	assert.NotEqual(t, string(svg), string(changed))
}
