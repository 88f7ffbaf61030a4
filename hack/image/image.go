package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is the one that every pod of the chart runs as, by number: the kubelet cannot tell from a name that it is not root.
const user = "65532:65532"

// maxSize is what an image may have, compressed, in bytes: every node pulls it before the first pod starts.
const maxSize = 12_000_000

// passwd gives the user a name, for what asks for one.
//
//go:embed passwd
var passwd []byte

// assemble makes the image of a program that has been built for a platform.
func assemble(p program, binary string, platform v1.Platform, s source) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	files, err := archive(s.time, []file{{p.name, 0o755, content}, {"etc/", 0o755, nil}, {"etc/passwd", 0o644, passwd}})
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: s.time}
	img, err := mutate.Append(base, mutate.Addendum{
		Layer: layer, History: v1.History{Created: created, CreatedBy: "hack/image", Comment: p.name + " " + s.version},
	})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant, config.Created = platform.OS, platform.Architecture, platform.Variant, created
	config.Config = v1.Config{User: user, Entrypoint: []string{"/" + p.name}, WorkingDir: "/", Labels: labels(p, s)}
	return mutate.ConfigFile(img, config)
}

// labels are the OCI image specification's predefined annotations.
func labels(p program, s source) map[string]string {
	const about = "org.opencontainers.image."
	list := map[string]string{
		about + "title":       p.name,
		about + "description": p.about,
		about + "version":     s.version,
		about + "created":     s.time.Format(time.RFC3339),
		about + "licenses":    "Apache-2.0",
		about + "vendor":      "The Volcano Authors",
		about + "url":         repository,
		about + "source":      repository,
	}
	if s.revision != "" && !s.dirty {
		list[about+"revision"] = s.revision
	}
	return list
}

// file is one of a layer; a name that ends with a slash is a folder.
type file struct {
	name    string
	mode    int64
	content []byte
}

// archive packs files that belong to root, all dated to one time.
func archive(at time.Time, files []file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: at}
		if f.content == nil {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing the layer: %w", err)
	}
	return b.Bytes(), nil
}

// compressedSize is what a node pulls: the layers and the configuration, in bytes.
func compressedSize(img v1.Image) (int64, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return 0, err
	}
	size := manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size, nil
}
