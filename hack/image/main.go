// Command image builds container images of this repository's programs, without a container runtime, a registry or a base image:
// one layer with the static program and an /etc/passwd. It writes, below --out,
//
//	NAME/                     OCI layout, one index for all platforms
//	NAME-linux-ARCH.tar       what docker load, kind load image-archive and ctr images import take
//	NAME-linux-ARCH.cdx.json  CycloneDX bill of materials, from what Go has recorded in the program
//
// Two runs on the same commit, with the same Go, write the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(progress)
	wanted := flags.String("platforms", strings.Join(known, ","), "platforms, separated by commas")
	version := flags.String("version", "devel", "version that the program reports")
	release := flags.Bool("release", false, "refuse what is not the clean, tagged commit of the chart's version")
	dir := flags.String("out", "dist", "folder to write to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	platforms, err := parsePlatforms(*wanted)
	if err != nil {
		return err
	}
	names := flags.Args()
	if len(names) == 0 {
		names = []string{certgen}
	}
	var list []program
	for _, name := range names {
		p, err := lookup(name)
		if err != nil {
			return err
		}
		list = append(list, p)
	}
	s, err := readSource(ctx, *version)
	if err != nil {
		return err
	}
	if *release {
		if err := s.checkRelease(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return fmt.Errorf("creating the folder for images: %w", err)
	}
	for _, p := range list {
		if err := p.write(ctx, *dir, platforms, s, out, progress); err != nil {
			return fmt.Errorf("building image %s: %w", p.name, err)
		}
	}
	return nil
}
