package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// wrapper makes a chart that has the umbrella as a dependency, as its Chart.yaml says, in a folder of the test.
func wrapper(t *testing.T, dependency string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "platform")
	require.NoError(t, os.CopyFS(filepath.Join(dir, "charts", "kthena"), os.DirFS(umbrella)))
	chart := "apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n  - {name: kthena, version: 0.1.0, repository: " +
		"'file://../kthena', " + dependency + "}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte(chart), 0o600))
	return dir
}

func TestInAnotherChartTheChartRendersWhatItDoesAlone(t *testing.T) {
	alone, err := helm.Render(umbrella, options(t, "{workload: {controllerManager: {replicas: 3}}}"))
	require.NoError(t, err)
	for _, c := range []struct{ name, dependency, values string }{
		{"with a condition", "condition: kthena.enabled", "{kthena: {enabled: true, workload: {controllerManager: {replicas: 3}}}}"},
		{"with a condition that nobody has set", "condition: kthena.enabled", "{kthena: {workload: {controllerManager: {replicas: 3}}}}"},
		{"under another name", "alias: llm, condition: llm.enabled", "{llm: {enabled: true, workload: {controllerManager: {replicas: 3}}}}"},
		{"with global values of the other chart's", "condition: kthena.enabled",
			"{global: {storageClass: fast, security: {allowInsecureImages: true}}, kthena: {workload: {controllerManager: {replicas: 3}}}}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rendered, err := helm.Render(wrapper(t, c.dependency), options(t, c.values))
			require.NoError(t, err)
			assert.Equal(t, alone.Manifest(), strings.NewReplacer("platform/charts/kthena/", "kthena/", "platform/charts/llm/", "kthena/",
				"helm.sh/chart: llm-", "helm.sh/chart: kthena-").Replace(rendered.Manifest()))
		})
	}
	t.Run("or nothing, by its condition", func(t *testing.T) {
		rendered, err := helm.Render(wrapper(t, "condition: kthena.enabled"), options(t, "{kthena: {enabled: false}}"))
		require.NoError(t, err)
		assert.Empty(t, rendered.Documents)
	})
}

// What Rancher and Fleet put into the values of every chart that they install.
func TestWhatRancherAndFleetInjectChangesNothing(t *testing.T) {
	for name, values := range map[string]string{
		"Rancher": `{global: {cattle: {clusterId: c-m-abc, clusterName: prod,
            rkePathPrefix: "", rkeWindowsPathPrefix: "", systemDefaultRegistry: "",
			systemProjectId: p-1, url: "https://rancher.example.com"}, systemDefaultRegistry: ""}}`,
		"Fleet": `{global: {fleet: {clusterLabels: {env: prod, management.cattle.io/cluster-name: c-m-abc}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, render(t, "{}"), render(t, values))
		})
	}
}

func TestAGlobalKeyThatIsNearlyOneOfTheChartsIsRefused(t *testing.T) {
	for _, c := range []struct{ name, key, meant string }{
		{"a letter too few", "certMangementMode", "certManagementMode"},
		{"a letter too many", "helmTests", "helmTest"},
		{"another letter", "imageRegistrY", "imageRegistry"},
		{"two letters that have changed places", "rabc", "rbac"},
		{"another case", "openShift", "openshift"},
		{"a hyphen", "cert-manager", "certManager"},
		{"one instead of many", "imagePullSecret", "imagePullSecrets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := helm.Render(umbrella, options(t, "{global: {"+c.key+": {}}}"))
			assert.Equal(
				t, "ERROR: global."+c.key+" is no value of this chart: use global."+c.meant+"; keys that are not so close to it may be another chart's",
				refusal(err),
			)
		})
	}
}

// The template knows them by a list of its own.
func TestEveryGlobalKeyIsKnownByItsName(t *testing.T) {
	for key := range values(t, umbrella)["global"].(map[string]any) {
		t.Run(key, func(t *testing.T) {
			_, err := helm.Render(umbrella, options(t, "{global: {"+key+"x: {}}}"))
			assert.Contains(t, refusal(err), "use global."+key+";")
		})
	}
}

func TestAloneTheChartCannotBeOff(t *testing.T) {
	_, err := helm.Render(umbrella, options(t, "{enabled: false}"))
	assert.Equal(
		t, "ERROR: enabled is false: it is the condition of a chart that has this one as a dependency; remove it, or do not install the chart",
		refusal(err),
	)
}
