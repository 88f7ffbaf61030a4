package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/helm"
)

func TestRenderIsTheGoldenFile(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			rendered, err := helm.Render(umbrella, c.options)
			require.NoError(t, err)
			golden := filepath.Join("testdata", c.name+".golden.yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(rendered.Manifest()), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "run `make golden`")
			assert.Equal(t, string(want), rendered.Manifest(), "run `make golden` if the change is meant")
		})
	}
}

func TestEveryGoldenFileBelongsToACase(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.golden.yaml"))
	require.NoError(t, err)
	for _, golden := range files {
		assert.FileExists(t, strings.TrimSuffix(golden, ".golden.yaml")+".values.yaml")
	}
}

func TestTwoRendersAreIdentical(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			first, err := helm.Render(umbrella, c.options)
			require.NoError(t, err)
			second, err := helm.Render(umbrella, c.options)
			require.NoError(t, err)
			assert.Equal(t, first, second)
		})
	}
}

func TestEveryDocumentIsAValidObject(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			rendered, err := helm.Render(umbrella, c.options)
			require.NoError(t, err)
			seen := map[string]bool{}
			for _, o := range decode(t, rendered) {
				assert.False(t, seen[identity(o)], "%s is rendered twice", identity(o))
				seen[identity(o)] = true
			}
			for _, h := range rendered.Hooks {
				assert.Equal(t, []string{"test"}, h.Events, "other hooks do not run under helm template: %s", h.Source)
			}
		})
	}
}
