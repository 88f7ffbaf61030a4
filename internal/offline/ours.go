package offline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// How the files begin by which a folder of ours is known.
const (
	secretsHead = "# The Secrets of Kthena's manual mode."
	valuesHead  = "# Values of Kthena's chart for manual mode,"
)

// refuseForeign returns an error when something in dir has a name of ours and was made by somebody else, as far as that can be
// told. A folder that a killed run has left is ours: it was empty, or ours, when that run began.
func refuseForeign(dir string, found []item) error {
	if slices.ContainsFunc(found, func(f item) bool { return f.folder && staged(f.name) }) {
		return nil
	}
	complete := false
	for name, head := range map[string]string{fileSecrets: secretsHead, fileValues: valuesHead} {
		file := filepath.Join(dir, name)
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !bytes.HasPrefix(text, []byte(head)):
			return foreign(file)
		default:
			complete = true
		}
	}
	if !complete && slices.Contains(found, item{fileCA, false}) {
		return foreign(filepath.Join(dir, fileCA))
	}
	return nil
}

func foreign(file string) error {
	return fmt.Errorf("%s was not written by this program: move it away or choose another folder", file)
}

// pending reports whether found is what Request has made and Import has not completed.
func pending(found []item) bool {
	return !slices.Contains(found, item{fileSecrets, false}) && slices.ContainsFunc(
		found, func(f item) bool { return path.Base(f.name) == fileRequest },
	)
}

// answered reports whether a CA's answer is in found, which waits for it.
func answered(found []item) bool {
	return pending(found) && slices.ContainsFunc(found, func(f item) bool { return path.Base(f.name) == fileCert })
}
