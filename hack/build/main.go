// Command build runs go build with the arguments it is given, as static binaries and with a progress line: a first build
// of a client of Kubernetes takes minutes, in which go itself says nothing.
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
	err := controlplane.Build(ctx, "building the programs", os.Args[1:], nil, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "build: error:", err)
		os.Exit(1)
	}
}
