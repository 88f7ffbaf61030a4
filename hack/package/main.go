// Command package lints the chart and writes its package, and an index of all packages there, below --out. The versions are those
// of Chart.yaml, which is the one place that has them.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// kubeVersion is the Kubernetes that the chart is linted for.
const kubeVersion = "v1.37.2"

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "package: error:", err)
		os.Exit(1)
	}
}

func run(args []string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	flags.SetOutput(usage)
	chart := flags.String("chart", "charts/kthena", "folder of the chart")
	dir := flags.String("out", "dist", "folder to write to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := lint(*chart); err != nil {
		return err
	}
	path, err := helm.Package(*chart, *dir)
	if err != nil {
		return err
	}
	if err := helm.Index(*dir); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s  %.1f kB\n%s\n", path, float64(info.Size())/1e3, filepath.Join(*dir, "index.yaml"))
	return err
}

// lint reports what is wrong with the chart, with its own values and with each file of them that chart-testing would take.
func lint(chart string) error {
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	if err != nil {
		return err
	}
	for _, file := range append([]string{""}, files...) {
		values := map[string]any{}
		if file != "" {
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if err := yaml.UnmarshalStrict(content, &values); err != nil {
				return fmt.Errorf("reading %s: %w", file, err)
			}
		}
		messages, err := helm.Lint(chart, values, kubeVersion)
		if err != nil {
			return err
		}
		if len(messages) > 0 {
			// Some messages have several lines.
			return fmt.Errorf("linting %s with the values %q: %s", chart, file, strings.Join(strings.Fields(strings.Join(messages, "; ")), " "))
		}
	}
	return nil
}
