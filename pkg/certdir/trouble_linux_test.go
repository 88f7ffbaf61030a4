package certdir_test

import (
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
)

// nobody is a user that owns no file.
const nobody = 65534

// unprivileged runs f with the rights of a user who is not root, so that modes mean something. It may be called by root:
// on Linux the user that file access is checked for belongs to the thread (setfsuid(2)).
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // and never unlock, so that the thread ends with the goroutine
			if !assert.NoError(t, syscall.Setfsuid(nobody)) {
				return
			}
		}
		f()
	}()
	<-done
}

func TestAFolderWithoutRightsIsNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		// fresh says that there are no files of an earlier write; take takes a right away.
		fresh bool
		take  func(t *testing.T, dir string)
		want  string
	}{
		"that cannot be entered": {true, mode(".", 0o600), "lstat DIR/ca.crt: permission denied"},
		"that cannot be written to": {
			true, mode(".", 0o555), "making a folder for the new files: mkdir DIR/..2026_11_24_08_30_00.*: permission denied",
		},
		"that cannot be listed, when new": {true, mode(".", 0o333), "opening folder: open DIR: permission denied"},
		"that cannot be listed, later":    {false, mode(".", 0o333), "listing the folder: open DIR: permission denied"},
		"that lacks a link and takes none": {
			false, func(t *testing.T, dir string) { unlink(t, dir, "tls.key"); mode(".", 0o555)(t, dir) },
			"linking file: symlink ..data/tls.key DIR/tls.key: permission denied",
		},
		"whose old folder cannot be emptied": {
			false, func(t *testing.T, dir string) { leaveFolder(t, dir); mode("..2026_11_24_08_29_00.1", 0o555)(t, dir) },
			"removing old files: unlinkat DIR/..2026_11_24_08_29_00.1/tls.key: permission denied",
		},
		"with a folder in the link's place": {
			true, func(t *testing.T, dir string) { require.NoError(t, os.Mkdir(filepath.Join(dir, "..data"), 0o700)) },
			"reading the link to the current files: readlink DIR/..data: invalid argument",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			if !tc.fresh {
				unprivileged(t, func() { write(t, dir, "1") })
			}
			tc.take(t, dir)
			unprivileged(t, func() {
				changed, err := certdir.Write(dir, files("1"), now)
				assert.False(t, changed)
				if assert.Error(t, err) {
					assert.Regexp(t, "^"+strings.NewReplacer(".", `\.`, "*", `\d+`, "DIR", dir).Replace(tc.want)+"$", err.Error())
				}
			})
			if !tc.fresh {
				requireHolds(t, filepath.Join(dir, "..data"), "1")
			}
		})
	}
}

// mode sets the mode of a folder below dir until the test ends.
func mode(name string, m os.FileMode) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, name)
		require.NoError(t, os.Chmod(path, m))
		t.Cleanup(func() { assert.NoError(t, os.Chmod(path, 0o777)) })
	}
}

// openDir is a folder that everybody may write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}

func unlink(t *testing.T, dir, name string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(dir, name)))
}

// leaveFolder leaves what a call that was interrupted does.
func leaveFolder(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "..2026_11_24_08_29_00.1")
	require.NoError(t, os.Mkdir(path, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(path, "tls.key"), nil, 0o600))
}

// Not parallel: the umask is the process's.
func TestAUmaskThatTakesTheOwnersRightsIsNamed(t *testing.T) {
	dir := openDir(t)
	defer syscall.Umask(syscall.Umask(0o277))
	unprivileged(t, func() {
		_, err := certdir.Write(dir, files("1"), now)
		assert.ErrorContains(t, err, "creating file: open "+dir+"/..2026_11_24_08_30_00.")
		assert.ErrorIs(t, err, syscall.EACCES)
	})
	assert.Empty(t, list(t, dir), "it leaves nothing behind")
}

// Not parallel: the limit is the process's. A file that may not grow is the same to the writer as a disk that is full.
func TestAFullDiskLeavesTheOldFilesInPlace(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1")
	var old syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 7, Max: old.Max}))
	changed, err := certdir.Write(dir, files("2"), now)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old))

	assert.False(t, changed)
	require.ErrorIs(t, err, syscall.EFBIG)
	require.ErrorContains(t, err, "writing file: write "+dir+"/..2026_11_24_08_30_00.")
	requireHolds(t, dir, "1")
	assert.Len(t, list(t, dir), 5, "it leaves nothing behind, however often it is tried")
	assert.True(t, write(t, dir, "2"), "the next call finishes it")
	requireHolds(t, dir, "2")
	assert.Len(t, list(t, dir), 5, "and leaves no rest")
}
