// Package command is the command line of kthena-certgen.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
)

// Exit codes. They are part of the interface; see the long help.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
	exitTimeout = 4
	// Those of verify.
	exitExpiring = 5
	exitBroken   = 6
)

// runError marks an error that occurred while a command did its work. Every other error that cobra returns is about how
// the program was called.
type runError struct{ error }

func (e runError) Unwrap() error { return e.error }

// Run executes the command line args and returns the exit code. The version is that of releases, empty for other builds.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer) int {
	root := New(programVersion(version))
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err)
	switch code {
	case exitDone:
	case exitUsage:
		_, _ = fmt.Fprintf(stderr, "kthena-certgen: error: %v (see '%s --help')\n", err, cmd.CommandPath())
	default:
		_, _ = fmt.Fprintf(stderr, "kthena-certgen: error: %v\n", err)
	}
	return code
}

func exitCode(err error) int {
	var ran runError
	var verdict *verdictError
	var plan *refusedPlan
	switch {
	case err == nil:
		return exitDone
	case !errors.As(err, &ran):
		return exitUsage
	case bootstrap.Refused(err) != "", errors.As(err, &plan):
		return exitRefused
	case errors.As(err, &verdict) && verdict.verdict == verify.VerdictExpiring:
		return exitExpiring
	case errors.As(err, &verdict):
		return exitBroken
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	default:
		return exitFailed
	}
}

// New is the tree of commands of the program in that version.
func New(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "kthena-certgen",
		Short: "Certificates for Kthena's admission webhooks and router",
		Long: `kthena-certgen gives Kthena's admission webhooks and router their TLS certificates.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused because a human must act, 4 timed out and worth another try; of verify
also: 5 a certificate expires soon, 6 something is broken.`,
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}
	root.AddCommand(newBootstrapCommand(version), newControllerCommand(version), newVerifyCommand(version), newPlanCommand(version),
		newGenerateCommand(), newCABundleCommand(version), newReleaseCommand(version),
		newVersionCommand(version))
	return root
}
