package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// dir returns the folder for the programs of the group, whose name says everything that goes into them: the Go version and
// platform, the module files, the sources of main packages in the module itself, and the flags. What other modules hold
// is said by their checksums in go.sum.
func (g group) dir(root string) (string, error) {
	module := filepath.Join(root, g.module)
	goenv := exec.Command("go", "env", "GOVERSION", "GOOS", "GOARCH")
	goenv.Dir, goenv.Env = module, environment()
	platform, err := goenv.Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version and platform: %w", err)
	}
	ldflags, err := g.ldflags(module)
	if err != nil {
		return "", err
	}
	files, err := g.sources(module)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%q\n%q\n", platform, buildFlags, ldflags)
	for _, name := range g.names() {
		fmt.Fprintf(h, "%q %q\n", name, g.programs[name])
	}
	for _, d := range g.crds {
		fmt.Fprintf(h, "%q %q %q\n", crdsDir, d.module, d.folder)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(module, file))
		if err != nil {
			return "", fmt.Errorf("reading the sources of the control plane's %s: %w", g.name, err)
		}
		fmt.Fprintf(h, "%q %d\n%s", file, len(text), text)
	}
	return filepath.Join(outputs(root), g.name+"-"+hex.EncodeToString(h.Sum(nil))[:16]), nil
}

// sources returns the files of the module, relative to its folder, that the programs of the group are made of.
func (g group) sources(module string) ([]string, error) {
	files := []string{"go.mod", "go.sum"}
	for _, pkg := range g.programs {
		if !strings.HasPrefix(pkg, "./") {
			continue
		}
		found, err := filepath.Glob(filepath.Join(module, pkg, "*.go"))
		if err != nil {
			return nil, fmt.Errorf("listing the sources of %s: %w", pkg, err)
		}
		for _, path := range found {
			files = append(files, filepath.Join(pkg, filepath.Base(path)))
		}
	}
	slices.Sort(files)
	return files, nil
}

// outputs returns the folder that holds the folders of all groups.
func outputs(root string) string {
	return filepath.Join(root, "bin", "controlplane")
}
