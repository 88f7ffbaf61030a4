package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// buildFlags are the flags of go build that do not depend on a version. -v makes go name each package it compiles, which is what
// progress is told from.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-v"}

// stripFlags are the linker's flags that leave out what only a debugger needs.
var stripFlags = []string{"-s", "-w"}

// versionPackage holds the variables that Kubernetes' programs take their version from. Without them a server calls itself
// v0.0.0-master, which charts refuse.
const versionPackage = "k8s.io/component-base/version"

// Ensure finds or builds the programs of the named groups that are not there yet and returns the folder of each group. What
// it is doing goes to progress, which gets nothing when there is nothing to build. Several processes may do this at once.
func Ensure(ctx context.Context, names []string, progress io.Writer) (map[string]string, error) {
	dirs := map[string]string{}
	for _, name := range names {
		g, err := lookup(name)
		if err != nil {
			return nil, err
		}
		dir, err := g.ensure(ctx, progress)
		if err != nil {
			return nil, err
		}
		dirs[name] = dir
	}
	return dirs, nil
}

// ensure builds the group unless it has been built, and returns its folder.
func (g group) ensure(ctx context.Context, progress io.Writer) (string, error) {
	if dir, ok, err := g.overridden(); ok {
		return dir, err
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir, err := g.dir(root)
	if err != nil {
		return "", err
	}
	if err := g.complete(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := os.MkdirAll(outputs(root), 0o755); err != nil {
		return "", fmt.Errorf("creating the folder for the control plane: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(outputs(root), g.name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	// Whoever had the lock may have built it meanwhile.
	if err := g.complete(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := g.build(ctx, root, dir, progress); err != nil {
		return "", fmt.Errorf("building the control plane's %s: %w", g.name, err)
	}
	return dir, nil
}

// build puts the programs into dir: those that are published, if any, or what it compiles. They appear there all at once or not at all.
func (g group) build(ctx context.Context, root, dir string, progress io.Writer) error {
	// The caller holds the lock, so that what lies here is what a killed build has left.
	unfinished := filepath.Join(outputs(root), g.name+".unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	module := filepath.Join(root, g.module)
	if g.published {
		version, err := g.version(module)
		if err != nil {
			return err
		}
		p := published{module: filepath.Join(root, envtestModule), patience: indexPatience}
		if ok, err := p.fill(ctx, g, version, unfinished, progress); err != nil {
			return err
		} else if ok {
			return os.Rename(unfinished, dir)
		}
	}
	ldflags, err := g.ldflags(module)
	if err != nil {
		return err
	}
	meter := newMeter(progress, "building the control plane's "+g.name)
	defer meter.stop()
	for _, name := range g.names() {
		args := append([]string{"build"}, buildFlags...)
		args = append(args, "-ldflags", ldflags, "-o", filepath.Join(unfinished, name), g.programs[name])
		if err := runGo(ctx, module, args, nil, meter); err != nil {
			return err
		}
	}
	for _, d := range g.crds {
		if err := copyCRDs(ctx, module, d, filepath.Join(unfinished, crdsDir)); err != nil {
			return err
		}
	}
	return os.Rename(unfinished, dir)
}

// copyCRDs copies definitions of a module that the module in the folder module requires to the folder dir.
func copyCRDs(ctx context.Context, module string, source definitions, dir string) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", source.module)
	list.Dir, list.Env = module, environment()
	found, err := list.Output()
	if err != nil {
		return fmt.Errorf("asking go for the folder of %s: %w", source.module, err)
	}
	crds := filepath.Join(strings.TrimSpace(string(found)), filepath.FromSlash(source.folder))
	if err := os.CopyFS(dir, os.DirFS(crds)); err != nil {
		return fmt.Errorf("copying the definitions of %s: %w", source.module, err)
	}
	return nil
}

// ldflags returns the linker's flags for the programs of the group, whose module lies in the folder module.
func (g group) ldflags(module string) (string, error) {
	if g.versioned == "" {
		return strings.Join(stripFlags, " "), nil
	}
	version, err := g.version(module)
	if err != nil {
		return "", err
	}
	return versionFlags(version)
}

// version returns the version that the programs of the group report, whose module lies in the folder module.
func (g group) version(module string) (string, error) {
	gomod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("reading the versions of the control plane's %s: %w", g.name, err)
	}
	return moduleVersion(string(gomod), g.versioned)
}

// versionFlags returns the linker's flags that strip the programs and set the version they report.
func versionFlags(version string) (string, error) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return "", fmt.Errorf("version %q of Kubernetes does not have three parts", version)
	}
	flags := slices.Clone(stripFlags)
	for _, kv := range []string{"gitVersion=" + version, "gitMajor=" + parts[0], "gitMinor=" + parts[1], "gitTreeState=clean"} {
		flags = append(flags, "-X", versionPackage+"."+kv)
	}
	return strings.Join(flags, " "), nil
}

// runGo runs the go command in the folder of a module, with the variables of env besides those of environment. The meter is told
// what go reports; an error holds what it complained about.
func runGo(ctx context.Context, module string, args, env []string, meter *meter) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stderr = module, append(environment(), env...), meter
	// Go removes its own temporary files when it is interrupted, and not when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("go build: %w%s", err, meter.complaints())
	}
	return nil
}

// environment is the environment of the go command: the user's, but for what would change the result.
func environment() []string {
	return append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0")
}

// lock waits until this process alone holds the lock file, which stays there for ever: the kernel lets go of the lock when
// its holder ends, however it does.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the control plane's folder: %w", err)
	}
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("waiting for another build, which holds %s: %w", path, context.Cause(ctx))
		case <-poll.C:
		}
	}
}
