package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/hack/bench/usage"
)

// peersReport is of the floor, the subject and two peers, the last of which is no crowd.
func peersReport() report {
	crowd := map[int]spread{1: {Median: 60}, 10: {Median: 300}, 100: {Median: 3000}, 500: {Median: 15000}}
	ratios := func(wall float64) baseline { return baseline{"binary": {1, 1, 1}, "cold wall": {wall, wall, wall}} }
	return report{Contenders: []result{
		{Name: "floor", Ratios: ratios(1), Crowds: crowd},
		{Name: subject, Ratios: ratios(1.25), Crowds: crowd},
		{Name: "one", Lacks: "no files", Ratios: ratios(3.6004), Crowds: crowd, peer: true},
		{Name: "two", Lacks: "Secret only", Ratios: ratios(1.7), peer: true},
	}}
}

func TestTheTablesSayWhatAPeerDoesNotDo(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	peersReport().print(&b)
	for _, row := range []string{
		"| floor | 0.0 | cold |", "| one (no files) | 0.0 | warm |", "| two (Secret only) | 0.0 | cold |",
		"| one (no files) | 1.00 | cold | 3.60 (3.60-3.60) |", "| two (Secret only) | 1.00 | cold | 1.70 (1.70-1.70) |",
		"| one (no files) | 60 (1.00) | 300 (1.00) | 3000 (1.00) | 15000 (1.00) |", "| two (Secret only) | - | - | - | - |",
	} {
		assert.Contains(t, b.String(), row)
	}
}

// Not parallel: the files are told from the root of the repository.
func TestPeersAreCommittedApartFromTheBaseline(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Dir(peersFile), 0o755))
	require.NoError(t, compare(options{update: true, baseline: "baseline.json"}, peersReport()))
	committed, err := readBaseline("baseline.json")
	require.NoError(t, err)
	assert.Equal(t, baseline{"binary": {1, 1, 1}, "cold wall": {1.25, 1.25, 1.25}}, committed, "those of the subject")
	peers, err := os.ReadFile(peersFile)
	require.NoError(t, err)
	var names []string
	for _, line := range strings.Split(string(peers), "\n") {
		if strings.Contains(line, "name") {
			names = append(names, strings.TrimSpace(line))
		}
	}
	assert.Equal(t, []string{`"name": "one (no files)",`, `"name": "two (Secret only)",`}, names)
	assert.Contains(t, string(peers), "3.6,")

	without := peersReport()
	without.Contenders = without.Contenders[:2]
	require.NoError(t, compare(options{update: true, baseline: "baseline.json"}, without))
	again, err := os.ReadFile(peersFile)
	require.NoError(t, err)
	assert.Equal(t, string(peers), string(again), "without peers those of an earlier run stay")
	require.NoError(t, compare(options{check: true, baseline: "baseline.json"}, peersReport()), "peers are not held against the baseline")
}

func TestARunOfTwoCommandsTakesTheTimesOfBothAndThePeakOfTheLarger(t *testing.T) {
	t.Parallel()
	one := usage.Usage{Wall: time.Second, CPU: time.Second, RSS: 3}
	two := usage.Usage{Wall: 2 * time.Second, CPU: time.Second, RSS: 2}
	sum := usage.Usage{Wall: 3 * time.Second, CPU: 2 * time.Second, RSS: 3}
	assert.Equal(t, sum, one.Then(two))
	assert.Equal(t, one, usage.Usage{}.Then(one))
}
