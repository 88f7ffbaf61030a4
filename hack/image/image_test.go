package main

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	router    = "kthena-router"
	reference = "ghcr.io/volcano-sh/kthena-router:v1.0.0"
	// epoch is 2026-01-02T03:04:05Z.
	epoch = "1767323045"
)

func TestImage(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	t.Setenv("SOURCE_DATE_EPOCH", epoch)
	dir := t.TempDir()
	build(t, dir)
	t.Run("is what the pods need", func(t *testing.T) { testContent(t, dir) })
	t.Run("comes with a bill of what is linked", func(t *testing.T) { testMaterials(t, dir) })
	t.Run("has the same bytes in a second run", func(t *testing.T) {
		first := contents(t, dir)
		build(t, dir)
		second := contents(t, dir)
		assert.Len(t, first, len(second))
		for file, content := range first {
			assert.True(t, bytes.Equal(content, second[file]), "%s differs", file)
		}
	})
}

// build runs the command for this machine's architecture. The stand-in is the smaller program: what is tested does not depend on
// which it is.
func build(t *testing.T, dir string) {
	t.Helper()
	var out bytes.Buffer
	require.NoError(
		t, run(t.Context(), []string{"-platforms", "linux/" + runtime.GOARCH, "-version", "v9.9.9", "-out", dir, router}, &out, io.Discard),
	)
	assert.Contains(t, out.String(), reference+"  v9.9.9  ")
	assert.Contains(t, out.String(), " MB compressed\n")
}

// contents are all files below dir.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		files[relative], err = os.ReadFile(path)
		return err
	}))
	require.NotEmpty(t, files)
	return files
}

func testContent(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, router+"-linux-"+runtime.GOARCH)
	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	archived, err := tarball.ImageFromPath(file+".tar", &tag)
	require.NoError(t, err)
	requireImage(t, archived)

	index, err := layout.ImageIndexFromPath(filepath.Join(dir, router))
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	top, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, top.Manifests, 1)
	assert.Equal(t, types.OCIImageIndex, top.Manifests[0].MediaType)
	assert.Equal(t, map[string]string{refName: "v1.0.0", containerdName: reference}, top.Manifests[0].Annotations)
	platforms, err := index.ImageIndex(top.Manifests[0].Digest)
	require.NoError(t, err)
	manifest, err := platforms.IndexManifest()
	require.NoError(t, err)
	assert.Equal(t, "v9.9.9", manifest.Annotations["org.opencontainers.image.version"])
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, manifest.Manifests[0].Platform)
	inLayout, err := platforms.Image(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	requireImage(t, inLayout)
}

// requireImage requires that an image holds the program, runs as nobody and says what it is.
func requireImage(t *testing.T, img v1.Image) {
	t.Helper()
	require.NoError(t, validate.Image(img))
	config, err := img.ConfigFile()
	require.NoError(t, err)
	dated := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	assert.Equal(t, "linux", config.OS)
	assert.Equal(t, runtime.GOARCH, config.Architecture)
	assert.Equal(t, dated, config.Created.UTC())
	assert.Equal(t, "65532:65532", config.Config.User)
	assert.Equal(t, []string{"/" + router}, config.Config.Entrypoint)
	assert.Empty(t, config.Config.Cmd)
	labels := config.Config.Labels
	for label, want := range map[string]string{
		"title": router, "version": "v9.9.9", "created": "2026-01-02T03:04:05Z", "licenses": "Apache-2.0",
		"source": "https://github.com/volcano-sh/kthena-certgen",
	} {
		assert.Equal(t, want, labels["org.opencontainers.image."+label], label)
	}

	layers, err := img.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	content, err := layers[0].Uncompressed()
	require.NoError(t, err)
	defer content.Close()
	modes := map[string]int64{}
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		modes[h.Name] = h.Mode
		assert.True(t, h.ModTime.Equal(dated), h.Name)
		assert.Zero(t, h.Uid+h.Gid, h.Name)
		if h.Name == "etc/passwd" {
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			assert.Equal(t, "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n", string(text))
		}
	}
	assert.Equal(t, map[string]int64{router: 0o755, "etc/": 0o755, "etc/passwd": 0o644}, modes)
}

func testMaterials(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, router+"-linux-"+runtime.GOARCH+".cdx.json"))
	require.NoError(t, err)
	defer file.Close()
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(file, cdx.BOMFileFormatJSON).Decode(&bom))
	assert.Equal(t, "2026-01-02T03:04:05Z", bom.Metadata.Timestamp)
	assert.Equal(t, router, bom.Metadata.Component.Name)
	assert.Equal(t, "v9.9.9", bom.Metadata.Component.Version)
	gomod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	versions := map[string]string{}
	for _, c := range *bom.Components {
		versions[c.Name] = c.Version
		if c.Name != "std" {
			assert.Contains(t, string(gomod), c.Name+" "+c.Version, "the module is in go.mod")
			assert.NotEmpty(t, c.Hashes, c.Name)
		}
	}
	assert.Equal(t, runtime.Version(), "go"+versions["std"])
	assert.Contains(t, versions, "k8s.io/api")
	assert.NotContains(t, versions, "helm.sh/helm/v3", "only what is linked")
}
