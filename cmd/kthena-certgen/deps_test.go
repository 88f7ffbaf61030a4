package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
			"net/http/pprof",
			"testing",
		} {
			assert.False(t, pkg == unwanted || strings.HasPrefix(pkg, unwanted+"/"), "%s is linked", pkg)
		}
	}
}
