package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWriteNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	t.Run("writes a file with the mode, whatever the umask", func(t *testing.T) {
		defer syscall.Umask(syscall.Umask(0o077))
		require.NoError(t, WriteNew(path, []byte("a"), 0o644))
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o644), info.Mode())
	})
	t.Run("leaves a file that is there as it is", func(t *testing.T) {
		err := WriteNew(path, []byte("b"), 0o600)
		require.ErrorIs(t, err, fs.ErrExist)
		assert.EqualError(t, err, "creating file: open "+path+": file exists")
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "a", string(got))
	})
}
