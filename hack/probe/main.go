// Command probe sends objects to every webhook entry of a release, dry-run, until Ctrl-C or for a set time, and tells how many
// were not answered as they must. It exits 1 when there was one. The entries must be served by the stand-in of test/rig/standin, whose
// marks make an object invalid.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "probe: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig file")
	namespace := flags.String("namespace", "kthena-system", "namespace for the objects")
	release := flags.String("release", "kthena", "name of the release")
	rate := flags.Int("rate", 40, "objects a second")
	duration := flags.Duration("for", 0, "how long to send; 0 is until Ctrl-C")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rate < 1 || *rate > 1000 {
		return fmt.Errorf("--rate %d is not allowed: use 1 to 1000", *rate)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("reading kubeconfig %q: %w", *kubeconfig, err)
	}
	// The rate is the probe's own.
	config.QPS = -1
	targets, err := probe.Targets(ctx, config, *release, *namespace)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("release %s has no webhook configurations", *release)
	}
	if *duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *duration)
		defer cancel()
	}
	p := probe.Start(ctx, targets, *rate)
	<-ctx.Done()
	report := p.Stop()
	fmt.Fprintf(
		out, "%d sent in %s, %d failed, longest gap %s\n", report.Sent, report.Duration.Round(time.Millisecond), report.Failed,
		report.LongestGap.Round(time.Millisecond),
	)
	for _, text := range report.Errors {
		fmt.Fprintln(out, text)
	}
	if report.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed", report.Failed, report.Sent)
	}
	return nil
}
