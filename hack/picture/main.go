// Command picture makes pictures for the manual from real runs on a local cluster:
//
//	picture verify   what kthena-certgen verify prints of a release that works and of one that does not
//	picture record   what the controller's metrics are for some minutes, into a file that hack/plot draws
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// pictures are what can be made, by the argument that asks for it.
var pictures = map[string]func(context.Context) error{"verify": drawVerify, "record": record}

func main() {
	if len(os.Args) != 2 || pictures[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: picture verify|record")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := pictures[os.Args[1]](ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "picture: error:", err)
		os.Exit(1)
	}
}
