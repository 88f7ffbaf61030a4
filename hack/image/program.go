package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

const (
	certgen  = "kthena-certgen"
	chartDir = "charts/kthena"
	// registry is the host and owner in the references of the images, which the chart's values name.
	registry = "ghcr.io/volcano-sh"
)

// known are the platforms that an image can be built for.
var known = []string{"linux/amd64", "linux/arm64"}

// program is one that images are made of. Its name is that of the image and of the file in it.
type program struct {
	name  string
	pkg   string // main package, from the root of the repository
	tags  string // build tags
	about string
	tag   func(source) string // the image's
}

// certgenTags leave out net/http's HTTP/2. client-go brings its own, and to link both costs up to a tenth of a start's CPU time.
const certgenTags = "nethttpomithttp2"

// programs are all of them. The stand-in's two images have the references of Kthena's own, for clusters of tests that have not got those.
var programs = []program{
	{
		certgen, "./cmd/kthena-certgen", certgenTags, "Certificates for Kthena's admission webhooks and router",
		func(s source) string { return "v" + s.chart },
	},
	{
		"kthena-controller-manager", "./test/rig/standin", "", "Stand-in for Kthena's controller-manager in tests",
		func(s source) string { return s.app },
	},
	{"kthena-router", "./test/rig/standin", "", "Stand-in for Kthena's router in tests", func(s source) string { return s.app }},
}

// lookup returns the program of that name.
func lookup(name string) (program, error) {
	i := slices.IndexFunc(programs, func(p program) bool { return p.name == name })
	if i < 0 {
		var names []string
		for _, p := range programs {
			names = append(names, p.name)
		}
		return program{}, fmt.Errorf("there is no program %q: it must be one of %s", name, strings.Join(names, ", "))
	}
	return programs[i], nil
}

// parsePlatforms reads a list such as linux/amd64,linux/arm64.
func parsePlatforms(list string) ([]v1.Platform, error) {
	var platforms []v1.Platform
	for _, name := range strings.Split(list, ",") {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("platform %q is not known: it must be one of %s", name, strings.Join(known, ", "))
		}
		p, err := v1.ParsePlatform(name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(platforms, p.Equals) {
			platforms = append(platforms, *p)
		}
	}
	return platforms, nil
}

// reference is the name that the chart asks for the image by.
func (p program) reference(s source) string {
	return registry + "/" + p.name + ":" + p.tag(s)
}

// write builds the program for each platform and writes the images.
func (p program) write(ctx context.Context, dir string, platforms []v1.Platform, s source, out, progress io.Writer) error {
	scratch, err := os.MkdirTemp(dir, ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	var images []v1.Image
	for _, platform := range platforms {
		name := fmt.Sprintf("%s-%s-%s", p.name, platform.OS, platform.Architecture)
		binary := filepath.Join(scratch, name)
		if err := p.build(ctx, binary, platform, s, progress); err != nil {
			return err
		}
		img, err := assemble(p, binary, platform, s)
		if err != nil {
			return err
		}
		images = append(images, img)
		if err := writeTarball(filepath.Join(dir, name+".tar"), p.reference(s), img); err != nil {
			return err
		}
		if err := writeBOM(filepath.Join(dir, name+".cdx.json"), p, binary, platform, s); err != nil {
			return err
		}
		size, err := compressedSize(img)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(
			out, "%s  %s  %s  %.1f MB compressed\n", filepath.Join(dir, name+".tar"), p.reference(s), s.version, float64(size)/1e6,
		); err != nil {
			return err
		}
		if size > maxSize {
			return fmt.Errorf("%s is larger than %d MB compressed: see what the program links", name, maxSize/1_000_000)
		}
	}
	return writeLayout(filepath.Join(dir, p.name), scratch, p, images, s)
}

// build compiles the program for a platform. A user's settings of Go must not change what is built.
func (p program) build(ctx context.Context, binary string, platform v1.Platform, s source, progress io.Writer) error {
	// The command runs in the root of the repository, wherever this one does.
	absolute, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	args := []string{"-tags", p.tags, "-ldflags", "-s -w -X main.version=" + s.version, "-o", absolute, p.pkg}
	env := []string{"GOOS=" + platform.OS, "GOARCH=" + platform.Architecture, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT="}
	return controlplane.Build(ctx, fmt.Sprintf("building %s for %s", p.name, platform), args, env, progress)
}
