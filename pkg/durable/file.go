// Package durable writes files that survive a loss of power. It keeps no state: any goroutine may call what is here.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// WriteNew writes a file that must not be there yet, with exactly this mode whatever the umask, and returns when it is on the
// disk. Whether its name is there too depends on the folder, which the caller syncs.
func WriteNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("creating file: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing file: %w", err)
	}
	return nil
}
