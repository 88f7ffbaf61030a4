package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVerifyNamesWhatWasNotSeen(t *testing.T) {
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
	}{
		"nothing when all is as claimed": {func(r []*row) []*row { return r }, ""},
		"a second CA":                    {func(r []*row) []*row { r[0].created, r[0].reused = 2, 1; return r }, "a: of 3 pods 2 created the Secret and 1 reused it: want 1 and 2 of 3"},
		"a pod that is missing":          {func(r []*row) []*row { r[1].pods, r[1].reused = 2, 1; return r }, "b: of 2 pods 1 created the Secret and 1 reused it: want 1 and 2 of 3"},
		"a restart":                      {func(r []*row) []*row { r[2].restarts = 1; return r }, "c: containers restarted 1 times"},
		"a component that is missing":    {func(r []*row) []*row { return r[:2] }, "saw 2 components with 6 webhook entries: want 3 with 7"},
		"an entry that is missing":       {func(r []*row) []*row { r[0].entries = 3; return r }, "saw 3 components with 6 webhook entries: want 3 with 7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := verify(tc.change(good()))
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
