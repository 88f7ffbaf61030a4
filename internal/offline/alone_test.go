package offline_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/offline"
)

func TestOneOfManyRunsFillsAFolder(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"that is there": ".", "that is not there": "a/b/out"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), folder)
			var all sync.WaitGroup
			begin := make(chan struct{})
			results := make(chan error, 8)
			for range cap(results) {
				all.Go(func() {
					<-begin
					_, err := generate(t, dir, site, false)
					results <- err
				})
			}
			close(begin)
			all.Wait()
			close(results)
			filled := 0
			for err := range results {
				switch {
				case err == nil:
					filled++
				default:
					assert.Contains(t, []string{
						dir + ": another run is filling it: wait until it has ended, or choose another folder",
						dir + " is not empty: choose another folder, or replace what is there by --force",
					}, err.Error())
				}
			}
			assert.Equal(t, 1, filled)
			requireWhole(t, dir, site, everything)
		})
	}
}

func TestAFailureLeavesNoFolder(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	_, err := offline.Import(filepath.Join(parent, "a", "b"), site, newCA(t).pem(), false, now)
	require.ErrorContains(t, err, "reading what the CA has to sign or has signed: open ")
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	assert.Empty(t, entries)
}
