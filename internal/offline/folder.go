package offline

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stagePrefix is what the name of the folder begins with in which files are prepared. It is left behind by a run that was killed.
const stagePrefix = ".kthena-certgen-"

// check returns what is in a folder that is to be filled, or an error when it cannot be: it is not empty. With force it may be
// what this package has written before, and nothing else: what it has not written is never removed.
func check(dir string, force bool) ([]item, error) {
	found, err := contents(dir)
	if err != nil {
		return nil, err
	}
	switch {
	case len(found) == 0:
		return nil, nil
	case answered(found), pending(found) && !force:
		return nil, fmt.Errorf("%s waits for what a CA has to sign: complete it by --import, or choose another folder", dir)
	}
	if err = refuseStrangers(dir, found, servers); err == nil {
		err = refuseForeign(dir, found)
	}
	switch {
	case !force && err != nil:
		return nil, fmt.Errorf("%s is not empty: choose another folder", dir)
	case !force:
		return nil, fmt.Errorf("%s is not empty: choose another folder, or replace what is there by --force", dir)
	}
	return found, err
}

// checkImport is check for a folder that is to be completed.
func checkImport(dir string, site Site, force bool) ([]item, error) {
	found, err := contents(dir)
	if err != nil {
		return nil, err
	}
	complete := slices.ContainsFunc(found, func(f item) bool { return f.name == fileSecrets })
	if complete && !force {
		return nil, fmt.Errorf("%s is complete already: replace what is there by --force", dir)
	}
	// The keys of a server that is not asked for would get lost.
	if err := refuseStrangers(dir, found, site.servers()); err != nil {
		return nil, err
	}
	return found, refuseForeign(dir, found)
}

// item is something in a folder: what is no folder, or a folder that is empty.
type item struct {
	// name is its slash-separated path below the folder.
	name   string
	folder bool
}

// contents lists what is in dir. The folder of a run that was killed counts as an empty one.
func contents(dir string) ([]item, error) {
	var found []item
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || name == "." || isLock(name):
			return err
		case !e.IsDir():
			found = append(found, item{name, false})
			return nil
		case staged(name):
			found = append(found, item{name, true})
			return fs.SkipDir
		}
		below, err := os.ReadDir(filepath.Join(dir, name))
		if err == nil && len(below) == 0 {
			found = append(found, item{name, true})
		}
		return err
	})
	return found, err
}

func staged(name string) bool {
	return strings.HasPrefix(name, stagePrefix) && !strings.Contains(name, "/")
}

// refuseStrangers returns an error when something in dir is not of those servers.
func refuseStrangers(dir string, found []item, servers []server) error {
	known := map[item]bool{{fileCA, false}: true, {fileSecrets, false}: true, {fileValues, false}: true}
	for _, srv := range servers {
		known[item{srv.secret, true}] = true
		for _, name := range []string{fileCert, fileKey, fileRequest} {
			known[item{srv.secret + "/" + name, false}] = true
		}
	}
	for _, f := range found {
		if !known[f] && !(f.folder && staged(f.name)) {
			return fmt.Errorf("%s does not belong to what is asked for: move it away or choose another folder", filepath.Join(dir, f.name))
		}
	}
	return nil
}
