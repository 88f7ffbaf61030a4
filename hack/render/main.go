// Command render writes what the chart renders, for programs that judge manifests: for each file of values in the chart's folder ci a file
// of the same name.
//
//	go run ./hack/render DIR
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

const (
	chart = "charts/kthena"
	// kubeVersion is the Kubernetes that the chart is rendered for.
	kubeVersion = "v1.37.2"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "render: error: expecting one argument, the folder to write into")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "render: error: %v\n", err)
		os.Exit(1)
	}
}

// run empties the folder dir first, so that nothing of a file of values that is gone is judged.
func run(dir string) error {
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("looking for values in %s/ci: there are none: run it in the root of the repository", chart)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("emptying the folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("creating the folder: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading values: %w", err)
		}
		var values map[string]any
		if err := yaml.UnmarshalStrict(content, &values); err != nil {
			return fmt.Errorf("reading values in %s: %w", file, err)
		}
		rendered, err := helm.Render(
			chart, helm.RenderOptions{Release: "kthena", Namespace: "kthena-system", KubeVersion: kubeVersion, Values: values},
		)
		if err != nil {
			return fmt.Errorf("rendering with %s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(rendered.Manifest()), 0o644); err != nil {
			return fmt.Errorf("writing what was rendered: %w", err)
		}
	}
	return nil
}
