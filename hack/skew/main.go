// Command skew runs tests on the API servers of several minors of Kubernetes, each with the same etcd, controllers and
// cert-manager. Its arguments name the minors; without any, the tests run on all that there are. They are those of make test.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

// packages are those whose tests depend on the API server: the cluster itself, the client and what it writes, the program, and
// the chart.
var packages = []string{
	"./test/rig/localcluster", "./internal/kube", "./pkg/secret", "./pkg/webhook", "./test/integration", "./test/verify", "./test/chart",
	"./test/confinement",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "skew: error:", err)
		os.Exit(1)
	}
}

// run builds all that is missing before the first test runs.
func run(ctx context.Context, minors []string) error {
	if len(minors) == 0 {
		minors = controlplane.Minors
	}
	var servers []controlplane.APIServer
	for _, minor := range minors {
		server, err := controlplane.EnsureAPIServer(ctx, minor, os.Stderr)
		if err != nil {
			return err
		}
		servers = append(servers, server)
	}
	dirs, err := controlplane.Ensure(ctx, []string{controlplane.Servers, controlplane.Controllers, controlplane.CertManager}, os.Stderr)
	if err != nil {
		return err
	}
	etcd := filepath.Join(dirs[controlplane.Servers], "etcd")
	var errs []error
	for _, server := range servers {
		// What fails on one is worth knowing of the others, too.
		errs = append(errs, test(ctx, server, etcd))
	}
	return errors.Join(errs...)
}

// test runs the tests on one API server.
func test(ctx context.Context, server controlplane.APIServer, etcd string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	assets, err := os.MkdirTemp("", "skew-")
	if err != nil {
		return fmt.Errorf("creating the folder of the servers: %w", err)
	}
	defer os.RemoveAll(assets)
	for _, program := range []string{server.Path, etcd} {
		if err := os.Symlink(program, filepath.Join(assets, filepath.Base(program))); err != nil {
			return fmt.Errorf("linking the servers: %w", err)
		}
	}
	fmt.Printf("Kubernetes %s\n", server.Version)
	begun := time.Now()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-short", "-count=1", "-timeout", "30m"}, packages...)...)
	cmd.Env = append(os.Environ(), "KUBEBUILDER_ASSETS="+assets, "KUBERNETES_VERSION="+server.Version)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// The tests stop their clusters when they are interrupted, and not when they are killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("testing on Kubernetes %s: %w", server.Version, err)
	}
	fmt.Printf("Kubernetes %s: passed in %s\n", server.Version, time.Since(begun).Round(time.Second))
	return nil
}
