package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// repository is where the source is.
const repository = "https://github.com/volcano-sh/kthena-certgen"

// writeBOM writes what the program is made of, as Go has recorded it in the file.
func writeBOM(path string, p program, binary string, platform v1.Platform, s source) error {
	bom, err := materials(p, binary, platform, s)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return replace(path, func(unfinished string) error {
		file, err := os.Create(unfinished)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := cdx.NewBOMEncoder(file, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
			return err
		}
		return file.Close()
	})
}

// materials lists the modules and the Go version of a program. There is no serial number, which would have to be random.
func materials(p program, binary string, platform v1.Platform, s source) (*cdx.BOM, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("reading what Go has recorded in %s: %w", binary, err)
	}
	sum := sha256.Sum256(content)
	main := cdx.Component{
		BOMRef: p.name, Type: cdx.ComponentTypeApplication, Name: p.name, Version: s.version, Description: p.about,
		PackageURL: fmt.Sprintf(
			"pkg:golang/%s@%s?goos=%s&goarch=%s#%s", info.Main.Path, s.version, platform.OS, platform.Architecture, strings.TrimPrefix(p.pkg, "./"),
		),
		Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}
	std := strings.TrimPrefix(info.GoVersion, "go")
	components := []cdx.Component{{
		BOMRef: "std", Type: cdx.ComponentTypeLibrary, Name: "std", Version: std, PackageURL: "pkg:golang/std@" + std,
	}}
	refs := []string{"std"}
	for _, m := range info.Deps {
		c, err := component(m)
		if err != nil {
			return nil, err
		}
		components = append(components, c)
		refs = append(refs, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Timestamp: s.time.Format(time.RFC3339), Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return bom, nil
}

// component describes a module, or what replaces it.
func component(m *debug.Module) (cdx.Component, error) {
	if m.Replace != nil {
		m = m.Replace
	}
	purl := "pkg:golang/" + path.Clean(m.Path) + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl}
	if m.Sum != "" {
		// Go's sum of a module is a SHA-256 in base64, of a list of the files' own.
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil {
			return cdx.Component{}, fmt.Errorf("reading the checksum of module %s: %w", m.Path, err)
		}
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	}
	return c, nil
}
