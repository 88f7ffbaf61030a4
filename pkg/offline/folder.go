package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/volcano-sh/kthena-certgen/internal/durable"
)

// check reports why a folder cannot be filled: it is there and not empty. With force it may be what this package has written
// before, and nothing else: what it has not written is never removed.
func check(dir string, force bool) error {
	names, err := contents(dir)
	if err != nil {
		return err
	}
	if len(names) > 0 && !force {
		return fmt.Errorf("%s is not empty: choose another folder, or replace what is there by --force", dir)
	}
	return refuseStrangers(dir, names, servers)
}

// checkImport reports why a folder cannot be completed.
func checkImport(dir string, site Site, force bool) error {
	names, err := contents(dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, fileSecrets) && !force {
		return fmt.Errorf("%s is complete already: replace what is there by --force", dir)
	}
	// The keys of a server that is not asked for would get lost.
	return refuseStrangers(dir, names, site.servers())
}

// contents lists the files in dir, by slash-separated paths, and the folders that are empty. There is none when dir is not
// there.
func contents(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a directory")}
	}
	var names []string
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if e.IsDir() {
			below, err := os.ReadDir(filepath.Join(dir, name))
			if err != nil || len(below) > 0 {
				return err
			}
		}
		names = append(names, name)
		return nil
	})
	return names, err
}

// refuseStrangers returns an error when one of the files in dir is not one of those servers.
func refuseStrangers(dir string, names []string, servers []server) error {
	known := map[string]bool{fileCA: true, fileSecrets: true, fileValues: true}
	for _, srv := range servers {
		for _, name := range []string{fileCert, fileKey, fileRequest} {
			known[srv.secret+"/"+name] = true
		}
	}
	for _, name := range names {
		if !known[name] {
			return fmt.Errorf("%s does not belong to what is asked for: move it away or choose another folder", filepath.Join(dir, name))
		}
	}
	return nil
}

// replace makes dir hold exactly files, all of them or, on an error, what it held before. They are written to a new folder
// beside it, which then takes its place; should this be interrupted between the two renames, dir is missing and both folders
// are beside it, whole. A dir that is not empty is an error unless over is set.
func replace(dir string, files map[string][]byte, over bool) (err error) {
	if dir, err = resolve(dir); err != nil {
		return err
	}
	parent, base := filepath.Split(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	fresh, err := os.MkdirTemp(parent, "."+base+".new.")
	if err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(fresh))
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := write(filepath.Join(fresh, filepath.FromSlash(name)), files[name]); err != nil {
			return err
		}
	}
	// An empty folder, or none, needs no place to go to.
	if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		return os.Rename(fresh, dir)
	} else if !over {
		return fmt.Errorf("replacing an empty folder: %w", err)
	}
	old, err := os.MkdirTemp(parent, "."+base+".old.")
	if err != nil {
		return fmt.Errorf("making a folder for the old files: %w", err)
	}
	if err := os.Rename(dir, filepath.Join(old, base)); err != nil {
		return errors.Join(fmt.Errorf("moving the old files away: %w", err), os.Remove(old))
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(fmt.Errorf("moving the new files in: %w", err), os.Rename(filepath.Join(old, base), dir), os.Remove(old))
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("removing the old files: %w", err)
	}
	return nil
}

// resolve returns the path of dir itself when it is a symbolic link, which stays.
func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if to, err := filepath.EvalSymlinks(dir); !errors.Is(err, fs.ErrNotExist) {
		return to, err
	}
	return dir, nil
}

// write writes a file, with the folder it is in. What may hold a private key is for the owner alone.
func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	mode := fs.FileMode(0o644)
	if name := filepath.Base(path); name == fileSecrets || strings.HasSuffix(name, ".key") {
		mode = 0o600
	}
	return durable.WriteNew(path, data, mode)
}
