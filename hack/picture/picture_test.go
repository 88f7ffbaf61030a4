package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScrapesAreWrittenAsPrometheusTestsAre(t *testing.T) {
	t.Parallel()
	s := scrapes{target: `job="j"`, values: map[string]map[int]float64{}}
	for _, text := range []string{
		"# HELP a It is a.\na{b=\"c d\"} 1\n", "a{b=\"c d\"} 1\n", "a{b=\"c d\"} 1.5e+09\nb{x=\"y\"} 2\n", "", "", "a{b=\"c d\"} 0\n",
	} {
		require.NoError(t, s.add(text))
	}
	assert.Equal(t, []string{`a{job="j",b="c d"} 1x1 1500000000 _x2 0`, `b{job="j",x="y"} _x2 2 _x3`}, s.recording().Series)
	for _, text := range []string{"a 1\n", "a{b=\"c\"} x\n", "a{b=\"c\"}\n"} {
		assert.Error(t, s.add(text), text)
	}
}
