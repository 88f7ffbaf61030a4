package controlplane

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMinors(t *testing.T) {
	root, err := Root()
	require.NoError(t, err)

	t.Run("the first is the oldest that the chart takes", func(t *testing.T) {
		chart, err := os.ReadFile(filepath.Join(root, "charts", "kthena", "Chart.yaml"))
		require.NoError(t, err)
		found := regexp.MustCompile(`(?m)^kubeVersion: ">=(\d+\.\d+)\.0-0"$`).FindStringSubmatch(string(chart))
		require.NotNil(t, found)
		assert.Equal(t, found[1], Minors[0])
	})

	for _, minor := range Minors {
		t.Run("the module for "+minor+" has that minor, and libraries of the same version", func(t *testing.T) {
			g, err := apiServer(minor)
			require.NoError(t, err)
			module := filepath.Join(root, g.module)
			version, err := g.version(module)
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(version, "v"+minor+"."), version)
			gomod, err := os.ReadFile(filepath.Join(module, "go.mod"))
			require.NoError(t, err)
			assert.Contains(t, string(gomod), "k8s.io/apiserver => k8s.io/apiserver v0"+strings.TrimPrefix(version, "v1")+"\n")
		})
	}

	t.Run("the last is that of the servers which everything else runs on", func(t *testing.T) {
		g, err := apiServer(Minors[len(Minors)-1])
		require.NoError(t, err)
		assert.Equal(t, Servers, g.name)
	})

	t.Run("the manual names those that are tested", func(t *testing.T) {
		page, err := os.ReadFile(filepath.Join(root, "docs", "installing.md"))
		require.NoError(t, err)
		assert.Contains(t, string(page), "You need Kubernetes "+Minors[0]+" or later")
		assert.Contains(t, string(page), "the API servers of "+strings.Join(Minors, " and ")+".")
	})

	t.Run("any other is refused", func(t *testing.T) {
		_, err := EnsureAPIServer(t.Context(), "1.20", io.Discard)
		assert.EqualError(t, err, `there is no API server of Kubernetes "1.20": it must be one of 1.30, 1.37`)
	})
}
