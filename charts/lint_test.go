package charts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func TestUmbrellaHasNothingToLint(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			messages, err := helm.Lint(umbrella, c.options.Values, kubeVersion)
			require.NoError(t, err)
			assert.Empty(t, messages)
		})
	}
}

func TestSubchartsHaveNothingToLint(t *testing.T) {
	for _, name := range subcharts {
		t.Run(name, func(t *testing.T) {
			// What `helm dependency build` does: the library comes into the subchart's own folder.
			dir := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(umbrella, "charts", name))))
			require.NoError(t, os.CopyFS(filepath.Join(dir, "charts", "common"), os.DirFS(library)))
			messages, err := helm.Lint(dir, globalValues(t), kubeVersion)
			require.NoError(t, err)
			assert.Empty(t, messages)
		})
	}
}

func TestASubchartOfItsOwnRendersWhatItDoesInTheUmbrella(t *testing.T) {
	inUmbrella, err := helm.Render(umbrella, options(t, "{}"))
	require.NoError(t, err)
	for _, name := range subcharts {
		t.Run(name, func(t *testing.T) {
			o := options(t, "{}")
			o.Values = globalValues(t)
			o.Dependencies = []string{library}
			rendered, err := helm.Render(filepath.Join(umbrella, "charts", name), o)
			require.NoError(t, err)
			require.NotEmpty(t, rendered.Documents)
			for _, d := range rendered.Documents {
				d.Source = "kthena/charts/" + d.Source
				if d.Source == "kthena/charts/"+name+"/templates/deployment.yaml" && name != "networking" {
					d.Source = "kthena/templates/controllermanagers.yaml"
				}
				assert.Contains(t, inUmbrella.Documents, d)
			}
		})
	}
}

// globalValues are the part of the umbrella's values that subcharts use.
func globalValues(t *testing.T) map[string]any {
	t.Helper()
	values := map[string]any{}
	content, err := os.ReadFile(filepath.Join(umbrella, "values.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &values))
	return map[string]any{"global": values["global"]}
}

// chartFolders are those of the umbrella, the library and the subcharts.
func chartFolders() []string {
	folders := []string{umbrella, library}
	for _, name := range subcharts {
		folders = append(folders, filepath.Join(umbrella, "charts", name))
	}
	return folders
}
