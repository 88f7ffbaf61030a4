// Command controlplane builds the programs of the local cluster that the tests and the demo run on, unless they have been built,
// and prints the folder of each group of them. Its arguments name the groups; without any, all are built.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	if len(names) == 0 {
		names = controlplane.Groups()
	}
	dirs, err := controlplane.Ensure(ctx, names, os.Stderr)
	if err != nil {
		return err
	}
	for _, name := range names {
		fmt.Println(dirs[name])
	}
	return nil
}
