package certdir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
)

var now = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)

func files(v string) map[string][]byte {
	return map[string][]byte{"tls.crt": []byte("certificate " + v), "tls.key": []byte("key " + v), "ca.crt": []byte("ca " + v)}
}

func requireHolds(t *testing.T, dir, v string) {
	t.Helper()
	for name, want := range files(v) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

func write(t *testing.T, dir, v string) bool {
	t.Helper()
	changed, err := certdir.Write(dir, files(v), now)
	require.NoError(t, err)
	return changed
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteLaysFilesOutAsTheKubeletDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	assert.True(t, write(t, dir, "1"))
	requireHolds(t, dir, "1")
	for name := range files("1") {
		to, err := os.Readlink(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, "..data/"+name, to)
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o640), info.Mode(), "the pod's group may read, others may not")
	}
	data, err := os.Readlink(filepath.Join(dir, "..data"))
	require.NoError(t, err)
	assert.Regexp(t, `^\.\.2026_11_24_08_30_00\.\d+$`, data)
	info, err := os.Stat(filepath.Join(dir, "..data"))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o750), info.Mode().Perm())
}

// Not parallel: the umask is the process's.
func TestModesDoNotDependOnTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := t.TempDir()
	write(t, dir, "1")
	for name, want := range map[string]fs.FileMode{"tls.key": 0o640, "..data": 0o750} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode().Perm())
	}
}

func TestWriteChangesNothingWhenNothingChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "1")
	before := list(t, dir)
	assert.False(t, write(t, dir, "1"))
	assert.Equal(t, before, list(t, dir))
}

func TestWriteReplacesEarlierFilesAndLeavesNoRest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "1")
	_, err := certdir.Write(dir, map[string][]byte{"old": nil}, now)
	require.NoError(t, err)
	assert.True(t, write(t, dir, "2"))
	requireHolds(t, dir, "2")
	assert.Len(t, list(t, dir), 5, "three links, ..data and one folder")
}

func TestWriteFinishesWhatAnInterruptedOneLeft(t *testing.T) {
	t.Parallel()
	data := func(t *testing.T, dir string) string {
		to, err := os.Readlink(filepath.Join(dir, "..data"))
		require.NoError(t, err)
		return to
	}
	for name, interrupt := range map[string]func(t *testing.T, dir string){
		"before the new folder was complete": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "..2026_11_24_08_29_00.1"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "..2026_11_24_08_29_00.1", "tls.key"), []byte("new"), 0o600))
		},
		"before the switch": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "..2026_11_24_08_29_00.1"), 0o700))
			require.NoError(t, os.Symlink("..2026_11_24_08_29_00.1", filepath.Join(dir, "..2026_11_24_08_29_00.1.link")))
		},
		"before the links were made": func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "tls.key"))) },
		"while it checked the folder": func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "..check.12"), nil, 0o600))
		},
		"and the folder behind ..data broke": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, data(t, dir))))
		},
		"and a file was cut short": func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "..data", "tls.crt"), 3))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "1")
			interrupt(t, dir)
			write(t, dir, "1")
			requireHolds(t, dir, "1")
			assert.Len(t, list(t, dir), 5)
		})
	}
}

func TestWriteLeavesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	t.Run("beside its files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, name := range []string{"notes.txt", "..mine", "..2026_plan", "..2026_11_24_08_30_99.backup"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600))
		}
		require.NoError(t, os.Symlink("notes.txt", filepath.Join(dir, "link")))
		write(t, dir, "1")
		assert.Len(t, list(t, dir), 5+5)
	})
	t.Run("in the place of a file, with an error", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, "tls.key")
		require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
		_, err := certdir.Write(dir, files("1"), now)
		require.EqualError(t, err, path+" is there already and was not written by this program: move it away or choose another folder")
		assert.Equal(t, []string{"tls.key"}, list(t, dir), "nothing was written")
	})
	t.Run("behind a link of somebody else, with an error", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, "tls.key")
		require.NoError(t, os.Symlink("elsewhere", path))
		_, err := certdir.Write(dir, files("1"), now)
		require.EqualError(t, err, path+" is there already and was not written by this program: move it away or choose another folder")
	})
}

// A reader that resolves ..data once, as an open of a whole directory does, sees files of one write only.
func TestReadersNeverSeeAMixture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "0")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			if _, err := certdir.Write(dir, files(string(rune('a'+i%26))), now); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for reads := 0; ; reads++ {
		select {
		case <-done:
			require.Positive(t, reads)
			return
		default:
		}
		root, err := os.OpenRoot(filepath.Join(dir, "..data"))
		if errors.Is(err, fs.ErrNotExist) { // the link was read, and the folder removed since
			continue
		}
		require.NoError(t, err)
		cert, errCert := root.ReadFile("tls.crt")
		key, errKey := root.ReadFile("tls.key")
		require.NoError(t, root.Close())
		if errCert == nil && errKey == nil { // the folder may have been removed since
			require.Equal(t, cert[len("certificate "):], key[len("key "):])
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, certdir.Check(dir))
	assert.Empty(t, list(t, dir), "it leaves nothing")

	missing := filepath.Join(dir, "missing")
	require.EqualError(t, certdir.Check(missing), "stat "+missing+": no such file or directory")
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.EqualError(t, certdir.Check(file), "open "+file+": not a directory")
	_, err := certdir.Write(missing, files("1"), now)
	require.ErrorIs(t, err, fs.ErrNotExist)
	// A folder on proc takes no files, whoever asks, root included.
	require.Error(t, certdir.Check("/proc/self"))
}
