package charts

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// metadata is what Chart.yaml says.
type metadata struct {
	Version      string
	AppVersion   string
	Icon         string
	Annotations  map[string]string
	Dependencies []struct{ Name, Version string }
}

func chartMetadata(t *testing.T, dir string) metadata {
	t.Helper()
	var m metadata
	require.NoError(t, yaml.Unmarshal(read(t, dir, "Chart.yaml"), &m))
	return m
}

// The umbrella's Chart.yaml is the one place that has the versions; whatever repeats them has to agree.
func TestVersionsComeFromTheChart(t *testing.T) {
	chart := chartMetadata(t, umbrella)
	for _, dir := range chartFolders() {
		m := chartMetadata(t, dir)
		assert.Equal(t, chart.Version, m.Version, dir)
		assert.Equal(t, chart.AppVersion, m.AppVersion, dir)
	}
	for _, d := range chart.Dependencies {
		assert.Equal(t, chart.Version, d.Version, d.Name)
	}
	assert.Contains(t, string(read(t, umbrella, "README.md")), "Version: "+chart.Version)
	assert.Contains(t, string(read(t, umbrella, "README.md")), "AppVersion: "+chart.AppVersion)
	assert.Contains(t, string(read(t, "..", "CHANGELOG.md")), "\n## ["+chart.Version+"]")
	certgen := container(t, deployments(render(t, "{}"))["kthena-workload"].Spec.Template.Spec.InitContainers, "certgen")
	assert.Equal(t, "ghcr.io/volcano-sh/kthena-certgen:v"+chart.Version, certgen.Image)
}

func TestArtifactHubIsToldTheImagesThatAreUsed(t *testing.T) {
	rendered, err := helm.Render(umbrella, options(t, "{}"))
	require.NoError(t, err)
	var used []string
	for _, match := range regexp.MustCompile(`(?m)^ +(?:\w+_)?image: "?([^"\n]+)"?$`).FindAllStringSubmatch(rendered.Manifest(), -1) {
		used = append(used, match[1])
	}
	var listed []struct{ Image string }
	annotations := chartMetadata(t, umbrella).Annotations
	require.NoError(t, yaml.Unmarshal([]byte(annotations["artifacthub.io/images"]), &listed))
	var told []string
	for _, l := range listed {
		told = append(told, l.Image)
	}
	slices.Sort(used)
	slices.Sort(told)
	assert.Equal(t, slices.Compact(used), told)

	var changes []struct{ Kind, Description string }
	require.NoError(t, yaml.UnmarshalStrict([]byte(annotations["artifacthub.io/changes"]), &changes))
	for _, c := range changes {
		assert.Contains(t, []string{"added", "changed", "deprecated", "removed", "fixed", "security"}, c.Kind)
		assert.NotEmpty(t, c.Description)
	}
	assert.FileExists(t, filepath.Join("..", "docs", filepath.Base(chartMetadata(t, umbrella).Icon)))
}

// chart-testing lints and installs with each of these files; the manual has a page for those that are for a kind of cluster.
func TestTheValuesForChartTestingRender(t *testing.T) {
	for name, o := range clusterValues(t) {
		t.Run(name, func(t *testing.T) {
			messages, err := helm.Lint(umbrella, o.Values, kubeVersion)
			require.NoError(t, err)
			assert.Empty(t, messages)
			assert.NotEmpty(t, renderOptions(t, o))
		})
	}
}
