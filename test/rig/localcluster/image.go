package localcluster

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Images says which program of this machine runs for which image. The key is the last part of the image's repository, such as
// kthena-router for ghcr.io/volcano-sh/kthena-router:v1.0.0; the value is the program's path. The program is started under the
// key as its name, so that one program can stand for several images.
type Images map[string]string

// imageName returns the last part of the repository of an image reference.
func imageName(reference string) string {
	name := path.Base(reference)
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// pull makes the programs available below dir, each by the name of its image.
func (images Images) pull(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the folder of images: %w", err)
	}
	for name, program := range images {
		absolute, err := filepath.Abs(program)
		if err != nil {
			return fmt.Errorf("finding the program of image %s: %w", name, err)
		}
		if _, err := os.Stat(absolute); err != nil {
			return fmt.Errorf("finding the program of image %s: %w", name, err)
		}
		if err := os.Symlink(absolute, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("linking the program of image %s: %w", name, err)
		}
	}
	return nil
}

// program returns the path of the program that stands for an image, below the folder that pull has filled.
func (images Images) program(dir, reference string) (string, error) {
	name := imageName(reference)
	if _, ok := images[name]; !ok {
		const known = "the images known are named by the last part of the repository"
		return "", fmt.Errorf("no program stands for image %s: %s, and %q is none of them", reference, known, name)
	}
	return filepath.Join(dir, name), nil
}
