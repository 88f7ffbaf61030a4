package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// patience is how long anything may take on a busy machine, and tick how often it is looked at.
	patience = 2 * time.Minute
	tick     = 250 * time.Millisecond
)

// Await waits for a condition, which may end the test itself. What it says of the state is told if it never holds.
func Await(t testing.TB, what string, holds func() (ok bool, state any)) {
	t.Helper()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	begun := time.Now()
	for {
		ok, state := holds()
		if ok {
			return
		}
		require.Less(t, time.Since(begun), patience, "waiting until %s: %v", what, state)
		<-ticker.C
	}
}
