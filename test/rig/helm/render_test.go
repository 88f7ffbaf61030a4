package helm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// writeChart writes a chart of the given files, by their path inside it, and returns its folder.
func writeChart(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

const metadata = "apiVersion: v2\nname: small\nversion: 1.2.3\nkubeVersion: \">=1.30.0-0\"\n"

func TestRender(t *testing.T) {
	dir := writeChart(t, map[string]string{
		"Chart.yaml":          metadata,
		"values.yaml":         "greeting: hello\n",
		"templates/NOTES.txt": "{{ .Release.Name }} in {{ .Release.Namespace }}",
		"templates/b.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: b\ndata:\n  greeting: {{ .Values.greeting }}\n  has: {{ " +
			".Capabilities.APIVersions.Has \"a.b/v1\" | quote }}\n",
		"templates/a.yaml":     "kind: Namespace\napiVersion: v1\nmetadata:\n  name: a\n",
		"templates/empty.yaml": "{{- if false }}\nkind: ConfigMap\n{{- end }}\n",
		"templates/test.yaml":  "kind: Pod\napiVersion: v1\nmetadata:\n  name: check\n  annotations:\n    helm.sh/hook: test\n",
	})
	options := helm.RenderOptions{Release: "r", Namespace: "n", KubeVersion: "v1.37.2"}

	t.Run("documents come in Helm's order with their source, without empty ones, and then hooks", func(t *testing.T) {
		got, err := helm.Render(dir, options)
		require.NoError(t, err)
		assert.Equal(t, []helm.Document{
			{Source: "small/templates/a.yaml", YAML: "kind: Namespace\napiVersion: v1\nmetadata:\n  name: a"},
			{
				Source: "small/templates/b.yaml",
				YAML:   "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: b\ndata:\n  greeting: hello\n  has: \"false\"",
			},
		}, got.Documents)
		const check = "kind: Pod\napiVersion: v1\nmetadata:\n  name: check\n  annotations:\n    helm.sh/hook: test"
		assert.Equal(
			t, []helm.Hook{{Document: helm.Document{Source: "small/templates/test.yaml", YAML: check}, Events: []string{"test"}}}, got.Hooks,
		)
		assert.Equal(t, "r in n", got.Notes)
		assert.Equal(
			t,
			"---\n# Source: small/templates/a.yaml\n"+got.Documents[0].YAML+"\n---\n# Source: small/templates/b.yaml\n"+got.Documents[1].YAML+
				"\n---\n# Source: small/templates/test.yaml\n"+check+"\n",
			got.Manifest(),
		)
	})
	t.Run("values are laid over the chart's and API versions are added", func(t *testing.T) {
		o := options
		o.Values, o.APIVersions = map[string]any{"greeting": "bye"}, []string{"a.b/v1"}
		got, err := helm.Render(dir, o)
		require.NoError(t, err)
		assert.Contains(t, got.Documents[1].YAML, "greeting: bye\n  has: \"true\"")
	})
	t.Run("a cluster that is too old is refused", func(t *testing.T) {
		o := options
		o.KubeVersion = "v1.29.0"
		_, err := helm.Render(dir, o)
		assert.EqualError(t, err, "chart requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes v1.29.0")
	})
	t.Run("a version that is none is refused", func(t *testing.T) {
		o := options
		o.KubeVersion = "new"
		_, err := helm.Render(dir, o)
		assert.ErrorContains(t, err, `parsing the Kubernetes version "new": `)
	})
	t.Run("a folder without a chart is named", func(t *testing.T) {
		empty := t.TempDir()
		_, err := helm.Render(empty, options)
		assert.ErrorContains(t, err, "loading chart "+empty+": ")
	})
}

func TestRenderWithADependencyFromElsewhere(t *testing.T) {
	library := writeChart(t, map[string]string{
		"Chart.yaml":          "apiVersion: v2\nname: lib\ntype: library\nversion: 1.0.0\n",
		"templates/_name.tpl": "{{ define \"lib.name\" }}from-lib{{ end }}",
	})
	dir := writeChart(t, map[string]string{
		"Chart.yaml":       metadata + "dependencies:\n  - name: lib\n    version: 1.0.0\n",
		"templates/a.yaml": "kind: ConfigMap\nmetadata:\n  name: {{ include \"lib.name\" . }}\n",
	})
	got, err := helm.Render(dir, helm.RenderOptions{Release: "r", Namespace: "n", KubeVersion: "v1.37.2", Dependencies: []string{library}})
	require.NoError(t, err)
	require.Len(t, got.Documents, 1)
	assert.Equal(t, "kind: ConfigMap\nmetadata:\n  name: from-lib", got.Documents[0].YAML)
}

func TestLint(t *testing.T) {
	t.Run("a chart without faults has no messages", func(t *testing.T) {
		got, err := helm.Lint(writeChart(t, map[string]string{
			"Chart.yaml": metadata, "values.yaml": "", "templates/a.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a\n",
		}), nil, "v1.37.2")
		require.NoError(t, err)
		assert.Empty(t, got)
	})
	t.Run("a fault is a message", func(t *testing.T) {
		got, err := helm.Lint(writeChart(t, map[string]string{
			"Chart.yaml": metadata, "values.yaml": "", "templates/a.yaml": "{{ include \"nowhere\" . }}\n",
		}), nil, "v1.37.2")
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.Contains(t, got[0], `no template "nowhere"`)
	})
}
