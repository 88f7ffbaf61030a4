package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

// fake is a program that costs nothing to build.
func fake(p platform) ([]byte, error) { return []byte("program for " + p.String()), nil }

// unpack is what an archive holds: the content by the name, with the mode in front.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	found := map[string]string{}
	add := func(name string, mode os.FileMode, r io.Reader) {
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NotContains(t, found, name)
		found[name] = fmt.Sprintf("%o %s", mode.Perm(), content)
	}
	if strings.HasSuffix(path, ".zip") {
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err)
		for _, f := range r.File {
			content, err := f.Open()
			require.NoError(t, err)
			add(f.Name, f.Mode(), content)
		}
		return found
	}
	compressed, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	r := tar.NewReader(compressed)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		add(header.Name, os.FileMode(header.Mode), r)
	}
}

func TestArchivesHoldWhatPeopleNeedAndAreTheSameTwice(t *testing.T) {
	t.Parallel()
	dirs := []string{t.TempDir(), filepath.Join(t.TempDir(), "new")}
	for _, dir := range dirs {
		require.NoError(t, write(dir, "v1.2.3", platforms, fake, io.Discard))
	}
	entries, err := os.ReadDir(dirs[0])
	require.NoError(t, err)
	require.Len(t, entries, len(platforms)+2)
	for _, e := range entries {
		one, err := os.ReadFile(filepath.Join(dirs[0], e.Name()))
		require.NoError(t, err)
		two, err := os.ReadFile(filepath.Join(dirs[1], e.Name()))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(one, two), e.Name())
	}
	for _, p := range platforms {
		found := unpack(t, filepath.Join(dirs[0], p.archive("v1.2.3")))
		assert.Equal(t, "755 program for "+p.String(), found[p.program()])
		for file, holds := range map[string]string{
			"LICENSE":                            "Apache License",
			"man/man1/kthena-certgen.1":          ".SH NAME",
			"man/man1/kthena-certgen-verify.1":   ".SH EXAMPLE",
			"completions/kthena-certgen.bash":    "__start_kthena-certgen",
			"completions/_kthena-certgen":        "#compdef kthena-certgen",
			"completions/kthena-certgen.fish":    "complete -c kthena-certgen",
			"completions/kthena-certgen.ps1":     "Register-ArgumentCompleter",
			"man/man1/kthena-certgen-generate.1": "1980",
		} {
			assert.True(t, strings.HasPrefix(found[file], "644 "), "%s of %s", file, p)
			assert.Contains(t, found[file], holds, "%s of %s", file, p)
		}
	}
}

func TestTheSumsAndTheManifestAreThoseOfTheArchives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, write(dir, "v1.2.3", platforms, fake, io.Discard))
	text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	require.NoError(t, err)
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		data, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		hash := sha256.Sum256(data)
		assert.Equal(t, hex.EncodeToString(hash[:]), sum, file)
		sums[file] = sum
	}
	require.Len(t, sums, len(platforms)+1)
	manifest := readManifest(t, dir)
	assert.Equal(t, "v1.2.3", manifest.Spec.Version)
	require.Len(t, manifest.Spec.Platforms, len(platforms))
	for i, p := range manifest.Spec.Platforms {
		file := platforms[i].archive("v1.2.3")
		assert.Equal(t, "https://github.com/volcano-sh/kthena-certgen/releases/download/v1.2.3/"+file, p.URI)
		assert.Equal(t, sums[file], p.SHA256)
		assert.Equal(t, map[string]string{"os": platforms[i].os, "arch": platforms[i].arch}, p.Selector.MatchLabels)
		found := unpack(t, filepath.Join(dir, file))
		assert.Contains(t, found, p.Bin)
		for _, f := range p.Files {
			assert.Contains(t, found, f.From)
		}
	}
}

func readManifest(t *testing.T, dir string) plugin {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "kthena-certgen.krew.yaml"))
	require.NoError(t, err)
	var p plugin
	require.NoError(t, yaml.UnmarshalStrict(data, &p))
	return p
}

// What krew does: it takes the files of the platform's archive that the manifest names, and links the program under the name that
// kubectl looks for, hyphens as underscores.
func TestKubectlRunsTheProgramOfTheArchiveAsItsPlugin(t *testing.T) {
	t.Parallel()
	clients, err := controlplane.Find(controlplane.Clients)
	require.NoError(t, err)
	binary, err := os.ReadFile(filepath.Join("..", "..", "bin", name))
	require.NoError(t, err, "run make build first")
	here := platform{runtime.GOOS, runtime.GOARCH}
	dir, store, path := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, write(dir, "v1.2.3", []platform{here}, func(platform) ([]byte, error) { return binary, nil }, io.Discard))
	manifest := readManifest(t, dir)
	found := unpack(t, filepath.Join(dir, here.archive("v1.2.3")))
	for _, f := range manifest.Spec.Platforms[0].Files {
		mode, content, _ := strings.Cut(found[f.From], " ")
		require.NoError(t, os.WriteFile(filepath.Join(store, f.To, f.From), []byte(content), 0o600))
		if mode == "755" {
			require.NoError(t, os.Chmod(filepath.Join(store, f.To, f.From), 0o755))
		}
	}
	plugin := "kubectl-" + strings.ReplaceAll(manifest.Metadata.Name, "-", "_")
	require.NoError(t, os.Symlink(filepath.Join(store, manifest.Spec.Platforms[0].Bin), filepath.Join(path, plugin)))
	kubectl := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), filepath.Join(clients, "kubectl"), args...)
		cmd.Env = []string{"PATH=" + path, "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	assert.Contains(t, kubectl("plugin", "list"), filepath.Join(path, plugin))
	version, err := exec.CommandContext(t.Context(), filepath.Join("..", "..", "bin", name), "version").Output()
	require.NoError(t, err)
	assert.Equal(t, string(version), kubectl("kthena-certgen", "version"))
	assert.Contains(t, kubectl(
		"kthena-certgen", "generate", "--namespace", "ns", "--subchart", "workload", "--output-dir", filepath.Join(dir, "manual"),
	),
		"workload-webhook-certs-manual")
}

func TestAVersionThatWouldAddLinkerFlagsIsRefused(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-version", "v1 -X a=b", "-out", t.TempDir()}, io.Discard, io.Discard)
	require.EqualError(t, err, `version "v1 -X a=b" is not allowed: use letters, digits, dots, hyphens, underscores and plus signs`)
}
