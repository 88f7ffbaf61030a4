// Command archive builds kthena-certgen for the machines that people sit at. It writes, below --out,
//
//	kthena-certgen_VERSION_OS_ARCH.tar.gz  the program, the licence, man pages and completions; a .zip for Windows
//	kthena-certgen.krew.yaml               the manifest by which krew installs it as a plugin of kubectl
//	SHA256SUMS                             of all of these
//
// Two runs on the same commit, with the same Go, write the same bytes.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

const (
	name = "kthena-certgen"
	// tags leave out net/http's HTTP/2, as in the image.
	tags = "nethttpomithttp2"
)

// platform is a kind of machine.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// program is what the program is called there.
func (p platform) program() string {
	if p.os == "windows" {
		return name + ".exe"
	}
	return name
}

// archive is what the archive for it is called.
func (p platform) archive(version string) string {
	extension := ".tar.gz"
	if p.os == "windows" {
		extension = ".zip"
	}
	return name + "_" + version + "_" + p.os + "_" + p.arch + extension
}

var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// allowed are versions that neither the linker nor a shell takes for something else.
var allowed = regexp.MustCompile(`^[\w.+-]+$`)

// builder builds the program for a platform and returns it.
type builder func(platform) ([]byte, error)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "archive: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("archive", flag.ContinueOnError)
	flags.SetOutput(progress)
	version := flags.String("version", "devel", "version that the program reports")
	dir := flags.String("out", "dist", "folder to write to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if !allowed.MatchString(*version) {
		return fmt.Errorf("version %q is not allowed: use letters, digits, dots, hyphens, underscores and plus signs", *version)
	}
	scratch, err := os.MkdirTemp("", "archive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	return write(*dir, *version, platforms, func(p platform) ([]byte, error) {
		binary := filepath.Join(scratch, p.program())
		args := []string{"-tags", tags, "-ldflags", "-s -w -X main.version=" + *version, "-o", binary, "./cmd/" + name}
		env := []string{"GOOS=" + p.os, "GOARCH=" + p.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT="}
		if err := controlplane.Build(ctx, fmt.Sprintf("building %s for %s", name, p), args, env, progress); err != nil {
			return nil, err
		}
		return os.ReadFile(binary)
	}, out)
}

// write writes the archives of these platforms, the manifest and the sums into dir.
func write(dir, version string, platforms []platform, build builder, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("creating the folder for archives: %w", err)
	}
	common, err := commonFiles()
	if err != nil {
		return err
	}
	var all []published
	var sums strings.Builder
	store := func(file string, data []byte) (string, error) {
		hash := sha256.Sum256(data)
		sum := hex.EncodeToString(hash[:])
		fmt.Fprintf(&sums, "%s  %s\n", sum, file)
		return sum, os.WriteFile(filepath.Join(dir, file), data, 0o644)
	}
	for _, p := range platforms {
		binary, err := build(p)
		if err != nil {
			return err
		}
		data, err := pack(p, append([]file{{p.program(), binary, 0o755}}, common...))
		if err != nil {
			return fmt.Errorf("packing the archive for %s: %w", p, err)
		}
		sum, err := store(p.archive(version), data)
		if err != nil {
			return err
		}
		all = append(all, published{p, sum})
		if _, err := fmt.Fprintf(out, "%s  %.1f MB\n", filepath.Join(dir, p.archive(version)), float64(len(data))/1e6); err != nil {
			return err
		}
	}
	manifest, err := krew(version, all)
	if err != nil {
		return err
	}
	if _, err := store(name+".krew.yaml", manifest); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
