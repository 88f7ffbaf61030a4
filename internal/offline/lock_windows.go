package offline

import (
	"errors"
	"path/filepath"
	"syscall"
)

// lockName is that of a file which nobody else can open while it is open here, and which is gone when it is closed, by the end of the
// process at the latest.
const lockName = stagePrefix + "lock"

// What CreateFile takes and returns (Windows' API) and package syscall does not name.
const (
	deleteOnClose                  = 0x04000000
	sharingViolation syscall.Errno = 32
)

// isLock reports whether a file is a lock.
func isLock(name string) bool { return name == lockName }

// lock takes the folder for this process alone, until it is released or the process ends. It returns errBusy when another one has it.
// On release the folders are removed that are empty: that of another process, which has its own lock in it, is not.
func lock(dir string) (release func(folders []string) error, err error) {
	name, err := syscall.UTF16PtrFromString(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL|deleteOnClose, 0)
	switch {
	case errors.Is(err, sharingViolation):
		return nil, errBusy
	case err != nil:
		return nil, err
	}
	return func(folders []string) error {
		err := syscall.CloseHandle(h)
		remove(folders)
		return err
	}, nil
}
