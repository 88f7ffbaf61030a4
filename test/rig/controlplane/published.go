package controlplane

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// published finds kube-apiserver and etcd among the binaries that Kubernetes publishes for tests, by setup-envtest, the tool of
// controller-runtime that knows where they are and checks what it downloads by the hash in the index.
type published struct {
	// module is the folder of the module that has the tool.
	module string
	// index is the address of the list of what there is, empty for the tool's own.
	index string
	// patience is how long the index may take to answer: without a network nobody waits for more before the build begins.
	patience time.Duration
}

// envtestModule is the folder of the module that has the tool, below the root of the repository.
const envtestModule = "hack/setup-envtest"

// indexPatience is the patience of every build.
const indexPatience = 5 * time.Second

// find returns the folder with the binaries of a minor such as 1.37, of whatever patch there is, or "" when there is none to be
// had. It looks into the tool's store first, and asks the index only then. What it does is told to progress.
func (p published) find(ctx context.Context, minor string, progress io.Writer) string {
	versions := minor + ".x"
	if dir, err := p.run(ctx, "use", "--installed-only", "--print", "path", versions); err == nil {
		fmt.Fprintf(progress, "using the kube-apiserver and etcd that setup-envtest has stored in %s\n", dir)
		return dir
	}
	asking, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	if list, err := p.run(asking, "list", versions); err != nil || list == "" {
		return ""
	}
	fmt.Fprintf(progress, "downloading kube-apiserver and etcd %s by setup-envtest\n", versions)
	dir, err := p.run(ctx, "use", "--print", "path", versions)
	if err != nil {
		fmt.Fprintf(progress, "%v; they are built instead\n", err)
		return ""
	}
	return dir
}

// run runs the tool and returns what it prints.
func (p published) run(ctx context.Context, args ...string) (string, error) {
	tool := []string{"tool", "setup-envtest"}
	if p.index != "" {
		tool = append(tool, "--index", p.index)
	}
	cmd := exec.CommandContext(ctx, "go", append(tool, args...)...)
	cmd.Dir, cmd.Env = p.module, environment()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Second
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running setup-envtest %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// fill copies what is published of the group into dir, and reports whether there was all of it. It is a copy since the tool's
// store may be cleaned.
func (p published) fill(ctx context.Context, g group, version, dir string, progress io.Writer) (bool, error) {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	found := p.find(ctx, major+"."+minor, progress)
	if found == "" {
		return false, nil
	}
	if err := g.complete(found); err != nil {
		fmt.Fprintf(progress, "%v; they are built instead\n", err)
		return false, nil
	}
	if err := os.CopyFS(dir, os.DirFS(found)); err != nil {
		return false, fmt.Errorf("copying what setup-envtest has stored: %w", err)
	}
	return true, nil
}
