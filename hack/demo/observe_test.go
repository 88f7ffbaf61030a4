package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

func TestWhatWasNotSeenIsNamed(t *testing.T) {
	t.Parallel()
	good := func() []*row {
		rows := []*row{{component: "a", entries: 4}, {component: "b", entries: 2}, {component: "c", entries: 1}}
		for _, r := range rows {
			r.pods, r.created, r.reused = 3, 1, 2
		}
		return rows
	}
	for name, tc := range map[string]struct {
		change func(rows []*row) []*row
		want   string
		// byController is how many Secrets the controller has made.
		byController int
	}{
		"nothing when all is as claimed": {change: func(r []*row) []*row { return r }},
		"nothing when the controller was faster than pods": {
			change: func(r []*row) []*row { r[1].created, r[1].reused = 0, 3; return r }, byController: 1,
		},
		"a second CA": {
			change: func(r []*row) []*row { r[0].created, r[0].reused = 2, 1; return r },
			want: "a: of 3 pods 2 created the Secret and 1 reused it: want at most 1, and the rest of 3\n" +
				"pods created 4 Secrets and the controller 0: want 3 in all",
		},
		"a Secret that nobody has made": {
			change: func(r []*row) []*row { r[2].created, r[2].reused = 0, 3; return r },
			want:   "pods created 2 Secrets and the controller 0: want 3 in all",
		},
		"a pod that is missing": {
			change: func(r []*row) []*row { r[1].pods, r[1].reused = 2, 1; return r },
			want:   "b: of 2 pods 1 created the Secret and 1 reused it: want at most 1, and the rest of 3",
		},
		"a restart": {
			change: func(r []*row) []*row { r[2].restarts = 1; return r }, want: "c: containers restarted 1 times",
		},
		"a component that is missing": {
			change: func(r []*row) []*row { return r[:2] }, want: "saw 2 components with 6 webhook entries: want 3 with 7",
		},
		"an entry that is missing": {
			change: func(r []*row) []*row { r[0].entries = 3; return r },
			want:   "saw 3 components with 6 webhook entries: want 3 with 7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := verifyRows(tc.change(good()), tc.byController)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.want)
		})
	}
}

func TestRequestsThatFailWithoutNeedAreNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		incident incident
		want     string
	}{
		"nothing when all were answered":          {incident{report: probe.Report{Sent: 9}}, ""},
		"nothing when a wiped bundle failed some": {incident{healed: time.Second, report: probe.Report{Sent: 9, Failed: 2}}, ""},
		"nothing when few met a server's end":     {incident{served: time.Second, report: probe.Report{Sent: 9, Failed: 1, Closed: 1}}, ""},
		"a renewal that a certificate failed one for": {
			incident{name: "a", served: time.Second, report: probe.Report{Sent: 9, Failed: 1, Errors: []string{"b"}}},
			`a: 1 of 9 requests failed: ["b"]`,
		},
		"more than servers' ends explain": {
			incident{name: "a", served: time.Second, report: probe.Report{Sent: 9, Failed: 5, Closed: 5}}, "a: 5 of 9 requests failed: []",
		},
		"an incident that no request has seen": {incident{name: "a", healed: time.Second}, "a: 0 of 0 requests failed: []"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := verifyIncidents([]*incident{&tc.incident})
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.want)
		})
	}
}

func TestLastLine(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "b", string(lastLine([]byte("a\nb\n"))))
	assert.Equal(t, "a", string(lastLine([]byte("a"))))
	assert.Empty(t, lastLine(nil))
}
