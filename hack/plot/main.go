// Command plot draws pictures for the manual from files of this repository, in whose root it is run:
//
//	plot ratios      the committed ratios of hack/bench, as docs/performance.svg
//	plot dashboard   what the dashboard shows of what hack/picture has recorded, as docs/dashboard.svg
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// picture is one that can be drawn. Its files are told from the root of the repository.
type picture struct {
	file string
	draw func(ctx context.Context, root string) ([]byte, error)
}

// pictures are all of them, by the argument that asks for it.
var pictures = map[string]picture{
	"ratios":    {"docs/performance.svg", drawRatios},
	"dashboard": {"docs/dashboard.svg", drawDashboard},
}

func main() {
	if len(os.Args) != 2 || pictures[os.Args[1]].draw == nil {
		fmt.Fprintln(os.Stderr, "usage: plot ratios|dashboard")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := pictures[os.Args[1]].write(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "plot: error:", err)
		os.Exit(1)
	}
}

func (p picture) write(ctx context.Context) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	svg, err := p.draw(ctx, root)
	if err != nil {
		return fmt.Errorf("drawing %s: %w", p.file, err)
	}
	return os.WriteFile(filepath.Join(root, p.file), svg, 0o644)
}

// read reads a file of JSON.
func read(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("parsing %s: %w", file, err)
	}
	return nil
}
