package offline_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/offline"
)

func TestAFolderThatAnotherRunHasIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := generate(t, dir, site, false)
	require.NoError(t, err)
	before := files(t, dir)
	other, err := os.Open(dir)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(other.Fd()), syscall.LOCK_EX))
	for name, do := range map[string]func() error{
		"by generating": func() error { _, err := generate(t, dir, site, true); return err },
		"by requesting": func() error { _, err := offline.Request(dir, site, spec, true); return err },
		"by importing":  func() error { _, err := offline.Import(dir, site, newCA(t).pem(), true, now); return err },
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, do(), dir+": another run is filling it: wait until it has ended, or choose another folder")
			assert.Equal(t, before, files(t, dir))
		})
	}
	require.NoError(t, other.Close())
	_, err = generate(t, dir, site, true)
	require.NoError(t, err, "the end of the other one frees it")
}
