package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// modulePath is the module whose go.mod marks the root of the repository.
const modulePath = "github.com/volcano-sh/kthena-certgen"

// Root returns the root of the repository that the working directory is in: the folder of the go.mod with this module's path.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the root of the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("finding the root of the repository: %w", err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		if strings.TrimSpace(first) == "module "+modulePath {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf(
				"finding the root of the repository: neither %s nor a folder above it has a go.mod of module %s", start, modulePath,
			)
		}
	}
}

// moduleVersion returns the version of a module that the text of a go.mod requires.
func moduleVersion(gomod, module string) (string, error) {
	for line := range strings.Lines(gomod) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == module && fields[1] != "=>" {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("go.mod does not require %s", module)
}
