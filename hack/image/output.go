package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The annotations by which an image in a layout is known: the OCI image specification's, a tag alone, and containerd's, the whole
// reference.
const (
	refName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
)

// writeTarball writes what docker load takes. The file is there as a whole or not at all.
func writeTarball(path, reference string, img v1.Image) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return fmt.Errorf("naming the image: %w", err)
	}
	return replace(path, func(unfinished string) error { return tarball.WriteToFile(unfinished, tag, img) })
}

// writeLayout writes the images as one OCI layout with an index of their platforms, in place of the one that was there.
func writeLayout(dir, scratch string, p program, images []v1.Image, s source) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	annotated, ok := mutate.Annotations(index, labels(p, s)).(v1.ImageIndex)
	if !ok {
		return fmt.Errorf("annotating the index gave a %T", annotated)
	}
	unfinished, err := layout.Write(filepath.Join(scratch, "layout"), empty.Index)
	if err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	named := layout.WithAnnotations(map[string]string{refName: p.tag(s), containerdName: p.reference(s)})
	if err := unfinished.AppendIndex(annotated, named); err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	if err := checkLayout(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the earlier layout: %w", err)
	}
	return os.Rename(filepath.Join(scratch, "layout"), dir)
}

// checkLayout refuses to replace a folder that is no layout: somebody else's.
func checkLayout(dir string) error {
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return nil
	}
	if _, err := layout.FromPath(dir); err != nil {
		return fmt.Errorf("%s is in the way and is no OCI layout: remove it", dir)
	}
	return nil
}

// replace has a file written beside path and puts it in its place.
func replace(path string, write func(unfinished string) error) error {
	unfinished := path + ".unfinished"
	defer os.Remove(unfinished)
	if err := write(unfinished); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(unfinished, path)
}
