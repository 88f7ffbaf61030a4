package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMkdirAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	t.Run("makes a folder and those above it", func(t *testing.T) {
		created, err := MkdirAll(dir+"/", 0o700)
		require.NoError(t, err)
		assert.True(t, created)
		for path, mode := range map[string]fs.FileMode{dir: 0o700, filepath.Dir(dir): 0o755} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, mode, info.Mode().Perm())
		}
	})
	t.Run("leaves a folder that is there as it is", func(t *testing.T) {
		created, err := MkdirAll(dir, 0o755)
		require.NoError(t, err)
		assert.False(t, created)
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	})
	t.Run("makes one below the folder that it is called in", func(t *testing.T) {
		t.Chdir(t.TempDir())
		created, err := MkdirAll("c", 0o700)
		require.NoError(t, err)
		assert.True(t, created)
		created, err = MkdirAll(".", 0o700)
		require.NoError(t, err)
		assert.False(t, created)
	})
	t.Run("takes one that somebody else makes at the same time", func(t *testing.T) {
		for i := range 50 {
			begin := make(chan struct{})
			created := make(chan bool, 4)
			for range cap(created) {
				go func() {
					<-begin
					made, err := MkdirAll(filepath.Join(dir, strconv.Itoa(i), "below"), 0o700)
					assert.NoError(t, err)
					created <- made
				}()
			}
			close(begin)
			makers := 0
			for range cap(created) {
				if <-created {
					makers++
				}
			}
			assert.Equal(t, 1, makers)
		}
	})
	t.Run("refuses a file", func(t *testing.T) {
		file := filepath.Join(dir, "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := MkdirAll(file, 0o700)
		require.ErrorIs(t, err, fs.ErrExist)
		_, err = MkdirAll(filepath.Join(file, "below"), 0o700)
		require.ErrorIs(t, err, fs.ErrExist)
	})
}

func TestSyncDirNeedsAFolder(t *testing.T) {
	require.NoError(t, SyncDir(t.TempDir()))
	require.ErrorIs(t, SyncDir(filepath.Join(t.TempDir(), "gone")), fs.ErrNotExist)
	if _, err := os.Stat("/proc/self"); err == nil {
		require.NoError(t, SyncDir("/proc/self"), "a file system that cannot sync folders")
	}
}
