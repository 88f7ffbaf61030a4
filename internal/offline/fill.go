package offline

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/volcano-sh/kthena-certgen/pkg/durable"
)

// fill makes dir hold files instead of what was found there by check, or, on an error, that. A dir that is there stays the same
// folder, since it may be a mount point, somebody's working directory or below one that cannot be written to. The files are written
// to a folder in it, and put in place one by one, by renames, when all of them are on the disk. Should this be interrupted, each
// file is whole, the old one or the new, and filling it again makes it good.
func fill(dir string, files map[string][]byte, found []item) error {
	stage, err := os.MkdirTemp(dir, stagePrefix)
	if err != nil {
		return fmt.Errorf("making a folder for the new files: %w", err)
	}
	p := &placement{dir: dir, old: filepath.Join(stage, "old"), fresh: filepath.Join(stage, "new")}
	if err := p.do(files, found); err != nil {
		if undone := p.undo(); undone != nil {
			return errors.Join(err, fmt.Errorf("putting back what was there, of which %s holds the rest: %w", p.old, undone))
		}
		return errors.Join(err, os.RemoveAll(stage))
	}
	if err := os.RemoveAll(stage); err != nil {
		return fmt.Errorf("removing the folder of the new files: %w", err)
	}
	return p.settle(files, found)
}

// placement is a change of the files in dir that can be undone.
type placement struct {
	dir string
	// old and fresh are the folders with what was there and what is to be there.
	old, fresh string
	// placed are the files that have been put in place.
	placed []string
}

// do puts files in place. Those of found that have the same names are kept in old.
func (p *placement) do(files map[string][]byte, found []item) error {
	names := inOrder(files)
	for _, name := range names {
		if err := write(filepath.Join(p.fresh, filepath.FromSlash(name)), files[name], mode(name)); err != nil {
			return err
		}
	}
	for _, f := range found {
		if _, again := files[f.name]; again {
			if err := p.keep(f.name); err != nil {
				return err
			}
		}
	}
	// While something is replaced, what is applied to a cluster is not there: it would not fit the rest.
	for _, name := range applied {
		if _, again := files[name]; !again {
			continue
		}
		p.placed = append(p.placed, name)
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, name := range names {
		if err := move(p.fresh, p.dir, name); err != nil {
			return fmt.Errorf("putting a file in place: %w", err)
		}
		if !slices.Contains(p.placed, name) {
			p.placed = append(p.placed, name)
		}
	}
	return nil
}

// applied are the files that people apply to a cluster. They are the last ones that are put in place.
var applied = []string{fileSecrets, fileValues}

// inOrder are the names of files in the order in which they are put in place.
func inOrder(files map[string][]byte) []string {
	return slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return cmp.Or(slices.Index(applied, a)-slices.Index(applied, b), strings.Compare(a, b))
	})
}

// keep copies a file to old. (A link would do where the file system has them.)
func (p *placement) keep(name string) error {
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return write(filepath.Join(p.old, filepath.FromSlash(name)), data, info.Mode().Perm())
}

// undo puts what was there back in place.
func (p *placement) undo() error {
	var errs []error
	for _, name := range p.placed {
		err := move(p.old, p.dir, name)
		if errors.Is(err, fs.ErrNotExist) { // it was not there before
			file := filepath.Join(p.dir, filepath.FromSlash(name))
			if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			if path.Dir(name) != "." {
				_ = os.Remove(filepath.Dir(file)) // unless there is something else in it
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// settle removes those of found that are not among files, with their folders, and makes the names of files durable.
func (p *placement) settle(files map[string][]byte, found []item) error {
	folders := map[string]bool{".": true}
	for name := range files {
		folders[path.Dir(name)] = true
	}
	obsolete := map[string]bool{}
	for _, f := range found {
		if _, wanted := files[f.name]; !wanted && !folders[f.name] {
			obsolete[f.name] = true
		}
		if folder := path.Dir(f.name); !folders[folder] {
			obsolete[folder] = true
		}
	}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(obsolete))) { // a folder after what is in it
		remove := os.Remove
		if staged(name) {
			remove = os.RemoveAll
		}
		if err := remove(filepath.Join(p.dir, filepath.FromSlash(name))); err != nil {
			return fmt.Errorf("removing what was there: %w", err)
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		if err := durable.SyncDir(filepath.Join(p.dir, filepath.FromSlash(folder))); err != nil {
			return err
		}
	}
	return nil
}

// move renames a file of one folder to the same path in another.
func move(from, to, name string) error {
	name = filepath.FromSlash(name)
	file := filepath.Join(to, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.Rename(filepath.Join(from, name), file)
}

// write writes a file, with the folder it is in.
func write(file string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	return durable.WriteNew(file, data, mode)
}

// mode is that of a file: what may hold a private key is for the owner alone.
func mode(name string) fs.FileMode {
	if filepath.Base(name) == fileSecrets || strings.HasSuffix(name, ".key") {
		return 0o600
	}
	return 0o644
}
