package certdir_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// change is what inotify(7) tells of one entry of a folder.
type change struct {
	mask uint32
	name string
}

// changes runs f and returns what happened to the entries of dir meanwhile, in order. The kernel tells of every step, so that one which
// a reader would meet once in a million tries is seen each time.
func changes(t *testing.T, dir string, f func()) []change {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	require.NoError(t, err)
	defer func() { assert.NoError(t, syscall.Close(fd)) }()
	_, err = syscall.InotifyAddWatch(fd, dir, syscall.IN_CREATE|syscall.IN_DELETE|syscall.IN_MOVED_FROM|syscall.IN_MOVED_TO)
	require.NoError(t, err)
	f()
	var all []change
	buf := make([]byte, 64<<10)
	n, err := syscall.Read(fd, buf)
	require.NoError(t, err)
	for rest := buf[:n]; len(rest) > 0; {
		// The fields of struct inotify_event are wd, mask, cookie and len, each of four bytes, and the name, filled up with zeros.
		mask, size := binary.NativeEndian.Uint32(rest[4:]), binary.NativeEndian.Uint32(rest[12:])
		end := syscall.SizeofInotifyEvent + int(size)
		name := bytes.TrimRight(rest[syscall.SizeofInotifyEvent:end], "\x00")
		all = append(all, change{mask & syscall.IN_ALL_EVENTS, string(name)})
		rest = rest[end:]
	}
	return all
}

// A reader that comes between two steps must find files, all of them old or all of them new.
func TestTheSwitchToNewFilesIsOneStep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "1")
	var steps []string
	for _, c := range changes(t, dir, func() { write(t, dir, "2") }) {
		switch c.name {
		case "..data", "tls.crt", "tls.key", "ca.crt":
			assert.Equal(t, uint32(syscall.IN_MOVED_TO), c.mask, c.name)
			steps = append(steps, c.name)
		}
	}
	assert.Equal(t, []string{"..data"}, steps, "the links to the files stay as they are")
	requireHolds(t, dir, "2")
}

func TestAFileTooManyAmongTheCurrentOnesIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..data", "old.key"), []byte("key"), 0o600))
	assert.True(t, write(t, dir, "1"))
	requireHolds(t, dir, "1")
	assert.Equal(t, []string{"ca.crt", "tls.crt", "tls.key"}, list(t, filepath.Join(dir, "..data")))
}
