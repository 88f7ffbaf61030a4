package controlplane

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	t.Run("a group that has not been built is reported with the command that builds it", func(t *testing.T) {
		root := repository(t)
		write(
			t, filepath.Join(root, "hack/controlplane/kubernetes/go.mod"), "module example.com/kubernetes\n\nrequire k8s.io/kubernetes v1.37.2\n",
		)
		write(t, filepath.Join(root, "hack/controlplane/kubernetes/go.sum"), "")
		t.Setenv(assetsEnv, "")
		_, err := Find(Servers)
		assert.EqualError(t, err, "finding the control plane's servers: not built yet: run `go run ./hack/controlplane` in "+root)
	})

	t.Run("the servers are taken from the folder that the environment names", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "kube-apiserver"), "")
		write(t, filepath.Join(dir, "etcd"), "")
		t.Setenv(assetsEnv, dir)
		got, err := Find(Servers)
		require.NoError(t, err)
		assert.Equal(t, dir, got)
	})

	t.Run("a folder that the environment names and that lacks a program is refused", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "etcd"), "")
		t.Setenv(assetsEnv, dir)
		_, err := Find(Servers)
		assert.EqualError(
			t, err,
			"KUBEBUILDER_ASSETS: finding the control plane's servers: stat "+filepath.Join(dir, "kube-apiserver")+": no such file or directory",
		)
	})

	t.Run("an unknown group is refused", func(t *testing.T) {
		_, err := Find("scheduler")
		assert.EqualError(t, err, `there is no group "scheduler": it must be one of servers, controllers, certmanager, clients, flux, argocd`)
	})

	t.Run("a folder outside the repository is reported", func(t *testing.T) {
		outside, err := filepath.EvalSymlinks(t.TempDir())
		require.NoError(t, err)
		t.Chdir(outside)
		_, err = Find(Controllers)
		assert.EqualError(t, err, "finding the root of the repository: neither "+outside+
			" nor a folder above it has a go.mod of module github.com/volcano-sh/kthena-certgen")
	})
}

func TestDir(t *testing.T) {
	const module = "tools/hello/"
	for name, change := range map[string]string{
		"another source": module + "cmd/other.go",
		"another go.mod": module + "go.mod",
		"another go.sum": module + "go.sum",
	} {
		t.Run(name+" means another folder", func(t *testing.T) {
			root := repository(t)
			before, err := hello.dir(root)
			require.NoError(t, err)
			write(t, filepath.Join(root, change), "module example.com/hello\n\nrequire k8s.io/kubernetes v1.37.3\n")
			after, err := hello.dir(root)
			require.NoError(t, err)
			assert.NotEqual(t, before, after)
			assert.True(t, strings.HasPrefix(filepath.Base(after), "hello-"), after)
		})
	}

	t.Run("another version to report means another folder", func(t *testing.T) {
		root := repository(t)
		before, err := hello.dir(root)
		require.NoError(t, err)
		other := hello
		other.versioned = "k8s.io/component-base"
		after, err := other.dir(root)
		require.NoError(t, err)
		assert.NotEqual(t, before, after)
	})

	t.Run("a file that is not compiled means nothing", func(t *testing.T) {
		root := repository(t)
		before, err := hello.dir(root)
		require.NoError(t, err)
		write(t, filepath.Join(root, module, "cmd", "README.md"), "")
		after, err := hello.dir(root)
		require.NoError(t, err)
		assert.Equal(t, before, after)
	})
}

func TestGroups(t *testing.T) {
	t.Run("what few need is built only when it is named", func(t *testing.T) {
		assert.Equal(t, []string{Servers, Controllers, CertManager, Clients}, Groups())
	})
	root, err := Root()
	require.NoError(t, err)
	for _, g := range groups {
		t.Run("the sources of the "+g.name+" are there", func(t *testing.T) {
			dir, err := g.dir(root)
			require.NoError(t, err)
			assert.Equal(t, filepath.Join(root, "bin", "controlplane"), filepath.Dir(dir))
		})
	}
}

func TestMeter(t *testing.T) {
	for name, c := range map[string]struct {
		writes     []string
		packages   int
		complaints string
	}{
		"each package is counted": {
			writes:   []string{"internal/cpu\nruntime\n", "k8s.io/api/core/v1\n"},
			packages: 3,
		},
		"a name that comes in two pieces is counted once": {
			writes:   []string{"k8s.io/api", "/core/v1\n"},
			packages: 1,
		},
		"a complaint that comes in two pieces is one": {
			writes:     []string{"# example.com", "/hello\n"},
			complaints: "\n# example.com/hello",
		},
		"downloads are neither packages nor complaints": {
			writes: []string{"go: downloading k8s.io/api v0.37.2\n"},
		},
		"everything else is a complaint": {
			writes:     []string{"runtime\n# example.com/hello\n", "./main.go:3:15: undefined: missing\n"},
			packages:   1,
			complaints: "\n# example.com/hello\n./main.go:3:15: undefined: missing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeter(io.Discard, "building")
			defer m.stop()
			for _, w := range c.writes {
				n, err := io.WriteString(m, w)
				require.NoError(t, err)
				assert.Equal(t, len(w), n)
			}
			assert.Equal(t, c.packages, m.packages)
			assert.Equal(t, c.complaints, m.complaints())
		})
	}

	t.Run("without a terminal the beginning and the end are a line each", func(t *testing.T) {
		var out strings.Builder
		m := newMeter(&out, "building")
		_, err := io.WriteString(m, "runtime\n")
		require.NoError(t, err)
		m.stop()
		assert.Equal(t, "building: 0s, 0 packages compiled\nbuilding: 0s, 1 packages compiled\n", out.String())
	})
}
