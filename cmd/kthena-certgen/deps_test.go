package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/volcano-sh/kthena-certgen"

// The init container is on the start path of every replica, so the program links no more than it needs.
func TestTheProgramLinksNoMoreThanItNeeds(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	linked := strings.Fields(string(out))
	require.Contains(t, linked, "k8s.io/client-go/rest")
	for _, pkg := range linked {
		for _, unwanted := range []string{
			"helm.sh/helm",
			"sigs.k8s.io/controller-runtime",
			"k8s.io/client-go/kubernetes",
			"k8s.io/client-go/informers",
			"k8s.io/client-go/discovery",
			"k8s.io/client-go/dynamic",
			"k8s.io/client-go/tools/cache",
			"k8s.io/client-go/tools/leaderelection",
			"k8s.io/client-go/applyconfigurations",
			"k8s.io/api/core", // see pkg/core
			"k8s.io/api/apps",
			"k8s.io/api/batch",
			"k8s.io/api/rbac",
			"k8s.io/component-base",
			"k8s.io/apiserver",
			"k8s.io/apiextensions-apiserver",
			"github.com/prometheus",
			"net/http/pprof",
			"html/template",
			"testing",
			module + "/hack",
			module + "/test",
		} {
			assert.False(t, pkg == unwanted || strings.HasPrefix(pkg, unwanted+"/"), "%s is linked", pkg)
		}
	}
}

// What others can import stands on nothing that they cannot.
func TestTheLibrariesImportNothingInternal(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, "../../pkg/...").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), module+"/pkg/certdir: ")
	assert.NotContains(t, string(out), " "+module+"/internal/")
}
