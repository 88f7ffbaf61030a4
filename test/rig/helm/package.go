package helm

import (
	"fmt"
	"os"
	"path/filepath"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/repo"
)

// Package writes the chart in the folder chartDir as a package into the folder dir, and returns its path.
func Package(chartDir, dir string) (string, error) {
	c, err := loader.LoadDir(chartDir)
	if err != nil {
		return "", fmt.Errorf("loading chart %s: %w", chartDir, err)
	}
	// Written elsewhere first, so that an earlier package stays whole until the new one is.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("creating the folder for packages: %w", err)
	}
	scratch, err := os.MkdirTemp(dir, ".package-")
	if err != nil {
		return "", fmt.Errorf("creating the folder for packages: %w", err)
	}
	defer os.RemoveAll(scratch)
	written, err := chartutil.Save(c, scratch)
	if err != nil {
		return "", fmt.Errorf("packaging chart %s: %w", chartDir, err)
	}
	path := filepath.Join(dir, filepath.Base(written))
	return path, os.Rename(written, path)
}

// Index writes index.yaml, by which a folder of packages can be served as a chart repository.
func Index(dir string) error {
	index, err := repo.IndexDirectory(dir, "")
	if err != nil {
		return fmt.Errorf("indexing the packages in %s: %w", dir, err)
	}
	index.SortEntries()
	if err := index.WriteFile(filepath.Join(dir, "index.yaml"), 0o644); err != nil {
		return fmt.Errorf("writing the index of %s: %w", dir, err)
	}
	return nil
}
