package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

var chart = filepath.Join("..", "..", "charts", "kthena")

func TestThePackageRendersWhatTheFolderDoes(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	require.NoError(t, run([]string{"-chart", chart, "-out", dir}, &out, io.Discard))
	archive := filepath.Join(dir, "kthena-0.1.0.tgz")
	assert.Contains(t, out.String(), archive)

	o := helm.RenderOptions{Release: "kthena", Namespace: "kthena-system", KubeVersion: kubeVersion}
	packaged, err := helm.Render(archive, o)
	require.NoError(t, err)
	require.NotEmpty(t, packaged.Documents)
	folder, err := helm.Render(chart, o)
	require.NoError(t, err)
	assert.Equal(t, folder, packaged)

	var index struct {
		Entries map[string][]struct {
			Version, AppVersion, Digest string
			URLs                        []string
			Annotations                 map[string]string
		}
	}
	content, err := os.ReadFile(filepath.Join(dir, "index.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &index))
	require.Len(t, index.Entries["kthena"], 1)
	entry := index.Entries["kthena"][0]
	assert.Equal(t, "0.1.0", entry.Version)
	assert.Equal(t, "v1.0.0", entry.AppVersion)
	assert.Equal(t, []string{"kthena-0.1.0.tgz"}, entry.URLs)
	assert.NotEmpty(t, entry.Digest)
	assert.Equal(t, "Apache-2.0", entry.Annotations["artifacthub.io/license"])

	require.NoError(t, run([]string{"-chart", chart, "-out", dir}, io.Discard, io.Discard), "a second time over the first")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "nothing unfinished is left")
}

func TestAChartThatLintComplainsOfIsNotPackaged(t *testing.T) {
	broken, out := filepath.Join(t.TempDir(), "kthena"), t.TempDir()
	require.NoError(t, os.CopyFS(broken, os.DirFS(chart)))
	values := filepath.Join(broken, "ci", "broken-values.yaml")
	require.NoError(t, os.WriteFile(values, []byte("global: {certManagementMode: other}\n"), 0o600))
	err := run([]string{"-chart", broken, "-out", out}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "linting "+broken+" with the values \""+values+"\": ")
	left, err := os.ReadDir(out)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAFolderWithoutAChartIsOneLine(t *testing.T) {
	empty := t.TempDir()
	err := run([]string{"-chart", empty, "-out", t.TempDir()}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "linting "+empty)
	assert.NotContains(t, err.Error(), "\n")
}
