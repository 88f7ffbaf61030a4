package main

import (
	"os"
	"path/filepath"
	"strings"
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
	assert.Less(t, len(picture), 20<<10)
}

// measured are ratios of every case and measure.
func measured(value float64) ratios {
	all := ratios{"binary": {value + 1}}
	for _, which := range []string{cold, warm} {
		for _, measure := range []string{"wall", "cpu", "rss"} {
			all[which+" "+measure] = ratio{value}
		}
	}
	return all
}

func TestAPictureShowsEveryBoundAndEveryCase(t *testing.T) {
	t.Parallel()
	c := chart{own: measured(1.5)}
	drawn, err := c.draw()
	require.NoError(t, err)
	for _, text := range []string{"wall time", "CPU time", "peak RSS", "binary", "cold", "warm", "bound", "prefers-color-scheme"} {
		assert.Contains(t, string(drawn), text)
	}
	again, err := c.draw()
	require.NoError(t, err)
	assert.Equal(t, string(drawn), string(again), "the same twice")
	c.own["cold cpu"] = ratio{1.6}
	changed, err := c.draw()
	require.NoError(t, err)
	assert.NotEqual(t, string(drawn), string(changed))
	delete(c.own, "cold cpu")
	_, err = c.draw()
	assert.EqualError(t, err, "hack/bench/baseline.json has no ratio cold cpu: run make bench UPDATE=1")
}

func TestAPictureHasThePeersBesideTheProgram(t *testing.T) {
	t.Parallel()
	c := chart{own: measured(1.5), peers: []peer{{"one (no files)", measured(3.6)}, {"two (Secret only)", measured(5.4)}}}
	drawn, err := c.draw()
	require.NoError(t, err)
	for text, times := range map[string]int{
		">kthena-certgen<": len(bounds), ">one (no files)<": len(bounds), ">two (Secret only)<": len(bounds), ">wall time<": 1, ">binary<": 1,
		">in multiples of the floor; less is better<": 1, ">6<": 1,
	} {
		assert.Equal(t, times, strings.Count(string(drawn), text), text)
	}
	assert.Less(t, len(drawn), 20<<10)
	c.peers[1].Ratios["warm wall"] = ratio{5.3}
	changed, err := c.draw()
	require.NoError(t, err)
	assert.NotEqual(t, string(drawn), string(changed))
	for name, ratios := range map[string]ratios{"one that is missing": {}, "all of them": nil} {
		c.peers[1].Ratios = ratios
		_, err = c.draw()
		assert.EqualError(
			t, err, "hack/bench/peer-ratios.json has no ratio cold wall of two (Secret only): run make bench UPDATE=1 with PEERS", name,
		)
	}
}

func TestABarThatIsTooLongIsCutAndSaysItsRatio(t *testing.T) {
	t.Parallel()
	theirs := measured(2)
	theirs["cold cpu"], theirs["warm cpu"] = ratio{25.74}, ratio{longest}
	drawn, err := chart{own: measured(1.5), peers: []peer{{"one", theirs}}}.draw()
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(drawn), "→"), "not of one that fits")
	assert.Contains(t, string(drawn), ">25.7 →<")
	assert.Contains(t, string(drawn), ">6<")
	assert.NotRegexp(t, `>(?:9|[1-9][0-9]+)<`, string(drawn), "the axis ends where the bar is cut")
}

func TestAPictureOfCommittedRatiosHasTheirPeers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(ratiosFile)), 0o755))
	own, err := os.ReadFile(filepath.Join(root, ratiosFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ratiosFile), own, 0o600))
	peers := `[{"name": "one", "ratios": ` + string(own) + `}]`
	require.NoError(t, os.WriteFile(filepath.Join(dir, peersFile), []byte(peers), 0o600))
	drawn, err := drawRatios(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, len(bounds), strings.Count(string(drawn), ">one<"))
}
