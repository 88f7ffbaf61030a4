package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// TestManyBootstrapsTogetherMakeOneCA starts the pods of one component, at most 64 at a time, and prints a table of what
// they cost.
func TestManyBootstrapsTogetherMakeOneCA(t *testing.T) {
	const together = 64
	table := "\n| bootstraps | total time | slowest | requests | per bootstrap | conflicts |\n|--:|--:|--:|--:|--:|--:|\n"
	counts := []int{1, 10, 100, 500}
	if testing.Short() {
		counts = counts[:3]
	}
	for _, n := range counts {
		s := newSite(t)
		s.createConfigurations(t)
		outcomes, took := make([]*outcome, n), make([]time.Duration, n)
		slots := make(chan struct{}, together)
		begun := time.Now()
		var group sync.WaitGroup
		for i := range n {
			slots <- struct{}{}
			group.Go(func() {
				start := time.Now()
				outcomes[i] = s.bootstrap(t.Context(), t)
				took[i] = time.Since(start)
				<-slots
			})
		}
		group.Wait()
		total := time.Since(begun)

		count := map[string]int{}
		slowest := time.Duration(0)
		for i, o := range outcomes {
			require.Equal(t, 0, o.code, o.stderr)
			require.Equal(t, outcomes[0].CAFingerprint, o.CAFingerprint)
			count[o.Outcome]++
			slowest = max(slowest, took[i])
		}
		assert.Equal(t, 1, count["created"], "%v", count)
		assert.Equal(t, n-1, count["reused"], "%v", count)
		s.requireTrusted(t, outcomes[n-1])

		requests, err := cluster.Requests(s.user)
		require.NoError(t, err)
		conflicts := 0
		for _, r := range requests {
			if r.Code == 409 {
				conflicts++
			}
		}
		// Each reads three objects. Those who are there at the beginning also write them once, and read again after a
		// conflict, but never twice: who wins has written what the others would write.
		// The one that makes the Secret also records an Event, unless the API server is too busy for it.
		assert.LessOrEqual(t, len(requests), 3*n+6*min(n, together)+1, "%v", localcluster.Count(requests))
		assert.LessOrEqual(t, localcluster.Count(requests)["create events 201"], 1)
		table += fmt.Sprintf(
			"| %d | %.2f s | %.2f s | %d | %.2f | %d |\n", n, total.Seconds(), slowest.Seconds(), len(requests), float64(len(requests))/float64(n),
			conflicts,
		)
	}
	t.Log(table)
}
