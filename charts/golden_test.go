package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// A case that does not name the controller is rendered without it: its golden file is what the chart rendered before it had one.
func TestRenderIsTheGoldenFile(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			rendered, err := helm.Render(umbrella, withoutController(t, c.options))
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

// withoutController are the options with the controller switched off, unless their values say whether it is to be there.
func withoutController(t *testing.T, o helm.RenderOptions) helm.RenderOptions {
	t.Helper()
	path := []string{"global", "certgen", "controller", "enabled"}
	_, said, err := unstructured.NestedBool(o.Values, path...)
	require.NoError(t, err)
	if said {
		return o
	}
	if o.Values == nil {
		o.Values = map[string]any{}
	}
	o.Values = runtime.DeepCopyJSON(o.Values)
	require.NoError(t, unstructured.SetNestedField(o.Values, false, path...))
	return o
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
