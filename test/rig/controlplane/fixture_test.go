package controlplane

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// hello is a group whose program is built in a second: it stands in for Kubernetes and prints the version it was given.
var hello = group{
	name:      "hello",
	module:    "tools/hello",
	programs:  map[string]string{"hello": "./cmd"},
	versioned: "k8s.io/kubernetes",
	override:  "HELLO_ASSETS",
}

// repository makes a repository that holds the group hello, the working directory of the test for its time, and returns its root.
func repository(t *testing.T) string {
	t.Helper()
	// Without symbolic links, as the working directory is.
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range map[string]string{
		"go.mod": "module " + modulePath + "\n\ngo 1.26.0\n",
		"tools/hello/go.mod": `module example.com/hello

go 1.26.0

require (
	k8s.io/component-base v0.37.2
	k8s.io/kubernetes v1.37.2
)

replace (
	k8s.io/component-base => ./base
	k8s.io/kubernetes => ./kubernetes
)
`,
		"tools/hello/go.sum": "",
		"tools/hello/cmd/main.go": `package main

import "k8s.io/component-base/version"

func main() { println(version.Version()) }
`,
		"tools/hello/base/go.mod": "module k8s.io/component-base\n\ngo 1.26.0\n",
		"tools/hello/base/version/version.go": `package version

var gitVersion, gitMajor, gitMinor, gitTreeState string

func Version() string { return gitVersion + " " + gitMajor + " " + gitMinor + " " + gitTreeState }
`,
		"tools/hello/kubernetes/go.mod": "module k8s.io/kubernetes\n\ngo 1.26.0\n",
	} {
		write(t, filepath.Join(root, name), text)
	}
	t.Chdir(root)
	return root
}

// write writes a file and the folders above it.
func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// entries returns the names in a folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}
