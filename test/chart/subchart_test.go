package chart

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// only are values that leave one subchart on.
func only(subchart string) map[string]any {
	values := map[string]any{}
	for other := range charttest.Subcharts {
		if other != subchart {
			values[other] = map[string]any{"enabled": false}
		}
	}
	return values
}

func TestOneSubchartAloneWorks(t *testing.T) {
	for subchart, tc := range map[string]struct {
		component string
		entries   int
	}{
		"registry": {"kthena-registry", 4}, "workload": {"kthena-workload", 1}, "networking": {"kthena-router", 2},
	} {
		t.Run(subchart, func(t *testing.T) {
			i := env.Install(t, only(subchart))
			require.Equal(t, []string{tc.component}, slices.Sorted(maps.Keys(i.Pods(t))))
			i.RequireNoRestarts(t)
			i.RequireAdmission(t, tc.entries)
		})
	}
}
