package controlplane

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestEnsure(t *testing.T) {
	t.Run("a program is built with the version that go.mod names", func(t *testing.T) {
		root := repository(t)
		dir, err := hello.ensure(t.Context(), io.Discard)
		require.NoError(t, err)
		out, err := exec.Command(filepath.Join(dir, "hello")).CombinedOutput()
		require.NoError(t, err)
		assert.Equal(t, "v1.37.2 1 37 clean\n", string(out))
		assert.ElementsMatch(t, []string{"hello.lock", filepath.Base(dir)}, entries(t, outputs(root)))
	})

	t.Run("what has been built is not built again, and nothing is told", func(t *testing.T) {
		repository(t)
		first, err := hello.ensure(t.Context(), io.Discard)
		require.NoError(t, err)
		before, err := os.Stat(filepath.Join(first, "hello"))
		require.NoError(t, err)
		var progress bytes.Buffer
		second, err := hello.ensure(t.Context(), &progress)
		require.NoError(t, err)
		after, err := os.Stat(filepath.Join(second, "hello"))
		require.NoError(t, err)
		assert.True(t, os.SameFile(before, after))
		assert.Empty(t, progress.String())
	})

	t.Run("the folder is found from a folder below the root", func(t *testing.T) {
		root := repository(t)
		built, err := hello.ensure(t.Context(), io.Discard)
		require.NoError(t, err)
		t.Chdir(filepath.Join(root, "tools", "hello"))
		found, err := hello.ensure(t.Context(), io.Discard)
		require.NoError(t, err)
		assert.Equal(t, built, found)
	})

	t.Run("two at once build once", func(t *testing.T) {
		repository(t)
		var progress [2]bytes.Buffer
		var together errgroup.Group
		for i := range progress {
			together.Go(func() error {
				_, err := hello.ensure(t.Context(), &progress[i])
				return err
			})
		}
		require.NoError(t, together.Wait())
		assert.NotEqual(t, progress[0].Len() > 0, progress[1].Len() > 0, "exactly one has something to tell")
	})

	t.Run("who waits for another build can be cancelled", func(t *testing.T) {
		root := repository(t)
		require.NoError(t, os.MkdirAll(outputs(root), 0o755))
		path := filepath.Join(outputs(root), "hello.lock")
		unlock, err := lock(t.Context(), path)
		require.NoError(t, err)
		defer unlock()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("interrupted"))
		_, err = hello.ensure(ctx, io.Discard)
		assert.EqualError(t, err, "waiting for another build, which holds "+path+": interrupted")
	})

	t.Run("a cancelled build leaves nothing but the lock file", func(t *testing.T) {
		root := repository(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		// The first thing that is told is that the build has begun.
		_, err := hello.ensure(ctx, writerFunc(func() { cancel(errors.New("interrupted")) }))
		assert.EqualError(t, err, "building the control plane's hello: interrupted")
		assert.Equal(t, []string{"hello.lock"}, entries(t, outputs(root)))
	})

	t.Run("what a killed build has left does not disturb the next", func(t *testing.T) {
		root := repository(t)
		write(t, filepath.Join(outputs(root), "hello.unfinished", "leftover"), "")
		dir, err := hello.ensure(t.Context(), io.Discard)
		require.NoError(t, err)
		assert.Equal(t, []string{"hello"}, entries(t, dir))
	})

	t.Run("a failed build says what go said and leaves nothing", func(t *testing.T) {
		root := repository(t)
		write(t, filepath.Join(root, "tools", "hello", "cmd", "main.go"), "package main\n\nfunc main() { missing() }\n")
		_, err := hello.ensure(t.Context(), io.Discard)
		assert.EqualError(t, err, "building the control plane's hello: go build: exit status 1\n"+
			"# example.com/hello/cmd\ncmd/main.go:3:15: undefined: missing")
		assert.Equal(t, []string{"hello.lock"}, entries(t, outputs(root)))
	})

	t.Run("flags of the user's do not change the build", func(t *testing.T) {
		repository(t)
		t.Setenv("GOFLAGS", "-mod=vendor")
		t.Setenv("GOWORK", filepath.Join(t.TempDir(), "missing"))
		t.Setenv("CGO_ENABLED", "1")
		_, err := hello.ensure(t.Context(), io.Discard)
		assert.NoError(t, err)
	})

	t.Run("the folder that the environment names is used as it is", func(t *testing.T) {
		repository(t)
		dir := t.TempDir()
		write(t, filepath.Join(dir, "hello"), "")
		t.Setenv("HELLO_ASSETS", dir)
		got, err := hello.ensure(t.Context(), io.Discard)
		require.NoError(t, err)
		assert.Equal(t, dir, got)
	})

	t.Run("a folder that the environment names and that lacks a program is refused", func(t *testing.T) {
		repository(t)
		dir := t.TempDir()
		t.Setenv("HELLO_ASSETS", dir)
		_, err := hello.ensure(t.Context(), io.Discard)
		assert.EqualError(
			t, err, "HELLO_ASSETS: finding the control plane's hello: stat "+filepath.Join(dir, "hello")+": no such file or directory",
		)
	})

	t.Run("the definitions of a module are copied beside the programs", func(t *testing.T) {
		root := repository(t)
		write(t, filepath.Join(root, "tools/hello/kubernetes/deploy/crds/things.yaml"), "kind: CustomResourceDefinition\n")
		defining := hello
		defining.crds = []definitions{{"k8s.io/kubernetes", "deploy/crds"}}
		dir, err := defining.ensure(t.Context(), io.Discard)
		require.NoError(t, err)
		assert.Equal(t, []string{"crds", "hello"}, entries(t, dir))
		assert.Equal(t, []string{"things.yaml"}, entries(t, filepath.Join(dir, "crds")))
		without, err := hello.dir(root)
		require.NoError(t, err)
		assert.NotEqual(t, without, dir)
	})
	t.Run("a module without definitions is reported", func(t *testing.T) {
		root := repository(t)
		defining := hello
		defining.crds = []definitions{{"k8s.io/kubernetes", "deploy/crds"}}
		_, err := defining.ensure(t.Context(), io.Discard)
		assert.EqualError(t, err, "building the control plane's hello: copying the definitions of k8s.io/kubernetes: "+
			"stat .: no such file or directory")
		assert.Equal(t, []string{"hello.lock"}, entries(t, outputs(root)))
	})
	t.Run("a group without a version to report is only stripped", func(t *testing.T) {
		plain := hello
		plain.versioned = ""
		flags, err := plain.ldflags(t.TempDir())
		require.NoError(t, err)
		assert.Equal(t, "-s -w", flags)
	})
	t.Run("an unknown group is refused", func(t *testing.T) {
		_, err := Ensure(t.Context(), []string{"scheduler"}, io.Discard)
		assert.EqualError(t, err, `there is no group "scheduler": it must be one of servers, controllers, certmanager, clients, flux, argocd`)
	})
}

func TestVersionFlags(t *testing.T) {
	t.Run("a version goes to the linker in parts", func(t *testing.T) {
		flags, err := versionFlags("v1.37.2")
		require.NoError(t, err)
		assert.Equal(t, "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 "+
			"-X k8s.io/component-base/version.gitMinor=37 -X k8s.io/component-base/version.gitTreeState=clean", flags)
	})
	t.Run("a version of two parts is reported", func(t *testing.T) {
		_, err := versionFlags("v1.37")
		assert.EqualError(t, err, `version "v1.37" of Kubernetes does not have three parts`)
	})
}

func TestModuleVersion(t *testing.T) {
	for name, c := range map[string]struct{ gomod, version, err string }{
		"a requirement on a line of its own": {
			gomod:   "require k8s.io/kubernetes v1.37.2\n",
			version: "v1.37.2",
		},
		"a requirement among others": {
			gomod:   "require (\n\tk8s.io/api v0.37.2\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n",
			version: "v1.37.2",
		},
		"a module that is not required is reported": {
			gomod: "require (\n\tk8s.io/api v0.37.2\n)\n",
			err:   "go.mod does not require k8s.io/kubernetes",
		},
		"a replacement is not a requirement": {
			gomod: "replace (\n\tk8s.io/kubernetes => ../kubernetes\n)\n",
			err:   "go.mod does not require k8s.io/kubernetes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			version, err := moduleVersion(c.gomod, "k8s.io/kubernetes")
			assert.Equal(t, c.version, version)
			if c.err == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, c.err)
			}
		})
	}
}

func TestLock(t *testing.T) {
	t.Run("the next holder gets it when the first lets go", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "lock")
		unlock, err := lock(t.Context(), path)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err = lock(ctx, path)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		unlock()
		unlock, err = lock(t.Context(), path)
		require.NoError(t, err)
		unlock()
	})
}

// writerFunc is a writer that does something at each write and keeps nothing.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

func TestTheMakefileCompilesAsTheControlPlaneIsCompiled(t *testing.T) {
	root, err := Root()
	require.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	_, line, found := strings.Cut(string(makefile), "\nexport GOFLAGS ")
	require.True(t, found)
	line, _, _ = strings.Cut(line, "\n")
	for _, flag := range buildFlags {
		if flag != "-v" {
			assert.Contains(t, strings.Fields(line), flag, "else packages that both need are compiled twice")
		}
	}
}
