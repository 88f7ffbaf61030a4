// Package certdir writes the files of one certificate as the kubelet writes a Secret volume: each file is a symbolic link through the
// link "..data" into a folder that is written completely before "..data" is made to point at it, by one atomic rename.
//
//	tls.crt -> ..data/tls.crt
//	..data  -> ..2026_11_24_08_30_00.1234567890
//
// So each file is whole at any time, and what is behind "..data" is of one write. A reader that opens the folder behind "..data" once,
// and the files in it, sees a key and its certificate or, if it has been replaced since, nothing. A reader that opens the files one after
// the other by their paths, as TLS servers do, may meet the rename between two of them and see a new key beside an old certificate; the
// kubelet promises no more. It has to compare the two and read again. In the chart's pods nothing reads while this package writes: the
// server starts when the init container has ended.
//
// A server finds the same paths whether the folder was filled by this package or by the kubelet.
//
// A folder has one writer at a time: another one, in whatever program, would take the files that the first has not linked yet for those of
// an interrupted run, and remove them.
package certdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/durable"
)

const (
	dataLink = "..data"
	// folderName is the time layout that the names of the folders with the files begin with.
	folderName = "..2006_01_02_15_04_05."
	checkName  = "..check."

	// The group may read, since in a pod the folder's group is the pod's fsGroup; others may not.
	fileMode = 0o640
	dirMode  = 0o750
)

// Check reports whether files can be written to dir, which must exist, by making a file there and removing it.
func Check(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a directory")}
	}
	f, err := os.CreateTemp(dir, checkName)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Write makes dir, which must exist, hold files, by name, and reports whether it had to change anything. Files that it
// has not written itself are left alone; when one of them has a name of files, nothing is written and an error is
// returned. Files of earlier calls that are not in files any more are removed.
func Write(dir string, files map[string][]byte, now time.Time) (changed bool, err error) {
	if err := refuseStrangers(dir, files); err != nil {
		return false, err
	}
	current, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading the link to the current files: %w", err)
	}
	if current == "" || !holds(filepath.Join(dir, current), files) {
		changed = true
		if current, err = swap(dir, files, now); err != nil {
			return false, err
		}
	}
	linked, err := link(dir, files)
	if err != nil {
		return false, err
	}
	if err := tidy(dir, current, files); err != nil {
		return false, err
	}
	return changed || linked, nil
}

// refuseStrangers returns an error when something in dir stands where a file is to go and is not a link of ours.
func refuseStrangers(dir string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !ours(path, info):
			return fmt.Errorf("%s is there already and was not written by this program: move it away or choose another folder", path)
		}
	}
	return nil
}

func ours(path string, info fs.FileInfo) bool {
	if info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	to, err := os.Readlink(path)
	return err == nil && to == filepath.Join(dataLink, filepath.Base(path))
}

// holds reports whether dir has exactly files.
func holds(dir string, files map[string][]byte) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(files) {
		return false
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			return false
		}
	}
	return true
}

// swap writes files into a new folder and makes dataLink point at it. It returns the new folder's name.
func swap(dir string, files map[string][]byte, now time.Time) (string, error) {
	fresh, err := os.MkdirTemp(dir, now.UTC().Format(folderName))
	if err != nil {
		return "", fmt.Errorf("making a folder for the new files: %w", err)
	}
	name, next := filepath.Base(fresh), fresh+".link"
	if err := prepare(fresh, next, files); err != nil {
		discard(next, fresh)
		return "", err
	}
	if err := os.Rename(next, filepath.Join(dir, dataLink)); err != nil {
		discard(next, fresh)
		return "", fmt.Errorf("switching to the new files: %w", err)
	}
	return name, durable.SyncDir(dir)
}

// discard removes what has come to nothing, so that tries without success do not fill the disk. What cannot be removed is left to tidy.
func discard(paths ...string) {
	for _, path := range paths {
		_ = os.RemoveAll(path)
	}
}

// prepare writes files into the folder fresh, and makes the link next to it.
func prepare(fresh, next string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := durable.WriteNew(filepath.Join(fresh, name), files[name], fileMode); err != nil {
			return err
		}
	}
	// The umask and MkdirTemp both take rights away.
	if err := os.Chmod(fresh, dirMode); err != nil {
		return fmt.Errorf("setting the mode of the new folder: %w", err)
	}
	if err := durable.SyncDir(fresh); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Base(fresh), next); err != nil {
		return fmt.Errorf("linking the new folder: %w", err)
	}
	return nil
}

// link makes the links from the names of files through dataLink that are missing.
func link(dir string, files map[string][]byte) (changed bool, err error) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name))
		switch {
		case err == nil:
			changed = true
		case !errors.Is(err, fs.ErrExist):
			return changed, fmt.Errorf("linking file: %w", err)
		}
	}
	if !changed {
		return false, nil
	}
	return true, durable.SyncDir(dir)
}

// leftover reports whether name is that of something which this package makes for a time.
func leftover(name string) bool {
	if len(name) > len(folderName) {
		if _, err := time.Parse(folderName, name[:len(folderName)]); err == nil {
			return true
		}
	}
	return strings.HasPrefix(name, checkName)
}

// tidy removes what earlier calls, finished or interrupted, have left: folders other than current, and links to files
// that are gone.
func tidy(dir, current string, files map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("listing the folder: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		_, wanted := files[e.Name()]
		stale := leftover(e.Name()) && e.Name() != current
		if !stale && !wanted {
			info, err := e.Info()
			stale = err == nil && ours(path, info)
		}
		if stale {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("removing old files: %w", err)
			}
		}
	}
	return nil
}
