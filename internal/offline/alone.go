package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/volcano-sh/kthena-certgen/pkg/durable"
)

// errBusy says that another run has the folder.
var errBusy = errors.New("another run is filling it")

// alone runs do while no other run works on the folder dir, which it makes when it is not there. What it has made is gone again when do
// fails.
func alone(dir string, do func() ([]Certificate, error)) ([]Certificate, error) {
	missing, err := missing(dir)
	if err != nil {
		return nil, err
	}
	created, err := durable.MkdirAll(dir, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making the folder: %w", err)
	}
	release, err := lock(dir)
	if errors.Is(err, errBusy) {
		return nil, fmt.Errorf("%s: %w: wait until it has ended, or choose another folder", dir, errBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the folder: %w", err)
	}
	made, err := do()
	if err == nil || !created {
		missing = nil
	}
	return made, errors.Join(err, release(missing))
}

// missing are the folder and those above it that are not there, the deepest first.
func missing(dir string) ([]string, error) {
	var all []string
	for above := filepath.Clean(dir); ; above = filepath.Dir(above) {
		switch info, err := os.Stat(above); {
		case errors.Is(err, fs.ErrNotExist) && above != filepath.Dir(above):
			all = append(all, above)
		case err != nil:
			return nil, err
		case !info.IsDir():
			return nil, &fs.PathError{Op: "open", Path: above, Err: errors.New("not a directory")}
		default:
			return all, nil
		}
	}
}

// remove removes folders, unless there is something else in them.
func remove(folders []string) {
	for _, folder := range folders {
		_ = os.Remove(folder)
	}
}
