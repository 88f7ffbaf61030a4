//go:build !windows

package offline

import (
	"errors"
	"os"
	"syscall"
)

// isLock reports whether a file is a lock; here folders are locked by themselves.
func isLock(string) bool { return false }

// lock takes the folder for this process alone, until it is released or the process ends. It returns errBusy when another one has it.
// On release the folders are removed that are empty, while nobody else can have them.
func lock(dir string) (release func(folders []string) error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	// A file system that has no locks, or none for folders (NFS), says something else than that it is locked.
	if errors.Is(syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
		return nil, errors.Join(errBusy, d.Close())
	}
	// It may be that whoever had it has removed it since it was opened, and another one has made it anew.
	opened, err := d.Stat()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if there, err := os.Stat(dir); err != nil || !os.SameFile(opened, there) {
		return nil, errors.Join(errBusy, d.Close())
	}
	return func(folders []string) error {
		remove(folders)
		return d.Close()
	}, nil
}
