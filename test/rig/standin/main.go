// Command standin stands in for Kthena's two binaries where only their TLS and their admission webhooks matter. It is
// what the base name of its first argument says, kthena-controller-manager or kthena-router, so install it under these
// names. Each takes that binary's flags, waits for its TLS files, loads them once and serves its webhook paths:
//
//   - a validating path refuses an object with the annotation kthena.test/refuse: "true", and one that breaks a rule of
//     Kthena's, see validate;
//   - a mutating path refuses one with kthena.test/refuse-mutation: "true", and writes its name into the annotation
//     kthena.test/mutated-by of all others;
//   - /kthena.test/rubbish answers what is no review, and /kthena.test/slow does not answer.
//
// It has one flag that Kthena's have not, --drain: after it is told to end it goes on for so long and tells its clients to close
// their connections.
//
// With --enable-webhook=false the controller-manager listens nowhere, and reads no file, like Kthena's.
//
// Where several run on one machine, set STANDIN_LISTEN_HOST to the address to listen on instead of all, and
// STANDIN_PORTS_FILE to a file: every port is then any free one, and the file says which, as soon as all are served:
//
//	{"8080":"127.0.0.1:41233","8443":"127.0.0.1:41234"}
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program without the process around it. It serves until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	name := filepath.Base(args[0])
	servers, err := parse(name, args[1:], stderr)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "%s: error: %v\n", name, err)
		return exitUsage
	}
	places := places{host: os.Getenv("STANDIN_LISTEN_HOST"), file: os.Getenv("STANDIN_PORTS_FILE")}
	log := slog.New(slog.NewJSONHandler(stderr, nil)).With("program", name)
	// Told to end before there was anything to serve is no failure.
	if err := serve(ctx, servers, places, log); err != nil && ctx.Err() == nil {
		fmt.Fprintf(stderr, "%s: error: %v\n", name, err)
		return exitFailed
	}
	return exitDone
}
