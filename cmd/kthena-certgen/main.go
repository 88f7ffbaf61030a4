// Command kthena-certgen gives Kthena's admission webhooks and router their certificates. Run it with --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/volcano-sh/kthena-certgen/internal/command"
)

// version is set by the linker for releases (-X main.version=v1.2.3).
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, version, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
