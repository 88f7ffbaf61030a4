package offline_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// somebody does something with files as a user who is not root. The folder and what is in it are that user's.
func somebody(t *testing.T, dir string, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	const nobody = 65534
	for above := dir; above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		require.NoError(t, os.Chmod(above, 0o755))
	}
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread, which has fewer rights now, ends with the goroutine
		assert.NoError(t, syscall.Setfsgid(nobody))
		assert.NoError(t, syscall.Setfsuid(nobody))
		do()
	}()
	<-done
}

func TestAFolderIsFilledWhoseParentCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(parent, 0o555))
	t.Cleanup(func() { assert.NoError(t, os.Chmod(parent, 0o755)) })
	somebody(t, dir, func() {
		for _, force := range []bool{false, true} {
			_, err := generate(t, dir, site, force)
			assert.NoError(t, err)
		}
		_, err := generate(t, filepath.Join(filepath.Dir(parent), "other"), site, false)
		assert.ErrorIs(t, err, fs.ErrPermission, "the rights are as they are meant to be")
	})
	requireWhole(t, dir, site, everything)
}

func TestAFileThatCannotBeReplacedLeavesAllAsTheyWere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alone := site
	alone.Subcharts = []string{"workload", "networking"} // so that there are files which were not there before, too
	_, err := generate(t, dir, alone, false)
	require.NoError(t, err)
	locked := filepath.Join(dir, "workload-webhook-certs-manual")
	before := files(t, dir)
	somebody(t, dir, func() {
		assert.NoError(t, os.Chmod(locked, 0o555))
		_, err := generate(t, dir, site, true)
		assert.ErrorContains(t, err, "putting a file in place: rename ")
		assert.ErrorIs(t, err, fs.ErrPermission)
		assert.NoError(t, os.Chmod(locked, 0o755))
	})
	assert.Equal(t, before, files(t, dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 3+3, "no folder is left behind: %v", entries)
}
