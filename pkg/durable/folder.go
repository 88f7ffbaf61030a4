package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// MkdirAll makes a folder with this mode, less the umask, when it is not there, and those above it, with the mode 0755 less the
// umask. Their names are on the disk when it returns. It reports whether it has made the folder.
func MkdirAll(dir string, mode fs.FileMode) (created bool, err error) {
	if isDir(dir) {
		return false, nil
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if parent != dir {
		if _, err := MkdirAll(parent, 0o755); err != nil {
			return false, err
		}
	}
	if err := os.Mkdir(dir, mode); errors.Is(err, fs.ErrExist) && isDir(dir) {
		return false, nil // somebody else was faster
	} else if err != nil {
		return false, err
	}
	return true, SyncDir(parent)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// SyncDir returns when the names of what is in the folder are on the disk, at once where the file system knows no such thing.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // NTFS keeps a journal of names, and lets nobody flush a folder
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening folder: %w", err)
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) { // fsync(2)
		err = nil
	}
	if err := errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("syncing folder: %w", err)
	}
	return nil
}
