package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

// verifyOptions are the flags of verify; addFlags describes them.
type verifyOptions struct {
	target
	warnWithin time.Duration
	output     string
	timeout    time.Duration
}

func newVerifyCommand(version string) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Say whether the certificates of a release work, and what to do where they do not",
		Long: `Verify looks at a release as it is, whatever its mode, and changes nothing. For every webhook entry of the release, and for
the router where it serves TLS, it says whether

  - the entry has a caBundle that can be used,
  - the Service has pods that are ready,
  - the certificate that each of them serves is trusted, by its CA, its names and its dates, as the API server verifies it,
  - the Secret behind it is good, and who made it,
  - the API server can call the webhook: it is asked to create an object that must be admitted and one that must be refused,
    both in a dry run.

In a pod it connects to the other pods directly, elsewhere through the API server as kubectl port-forward does.

Each finding has a code, the object it is about, a sentence, and the command that repairs it or shows more. What is broken
ends the program with exit code 6, a certificate that expires soon with 5; notices do not count.

It needs the rights to list webhook configurations, and in the namespace to get Services, Deployments and Secrets, list
EndpointSlices, create Kthena's objects and, from outside the cluster, create pods/portforward.`,
		Example: `  kthena-certgen verify --namespace kthena-system

  # For a script.
  kthena-certgen verify --namespace kthena-system --warn-within 720h --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			found, err := kube.Config(o.access)
			if err != nil {
				return err
			}
			found.UserAgent = "kthena-certgen/" + version
			if err := o.run(cmd.Context(), found, cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
				return runError{err}
			}
			return nil
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *verifyOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	o.target.addFlags(fs)
	fs.DurationVar(
		&o.warnWithin, "warn-within", 0,
		"remaining life below which a certificate expires soon; 0 is 30 days, or a tenth of its life where that is shorter",
	)
	fs.StringVarP(&o.output, "output", "o", outputTable, "form of the report: table, json or yaml")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Second, "limit for the whole run")
	addAccessFlags(fs, &o.access)
}

// validate reports the first flag that is wrong, by its name and with what is allowed.
func (o *verifyOptions) validate() error {
	if err := o.target.validate(); err != nil {
		return err
	}
	switch {
	case o.warnWithin < 0:
		return fmt.Errorf("--warn-within %s is not allowed: use 0 or more", o.warnWithin)
	case !slices.Contains([]string{outputTable, outputJSON, outputYAML}, o.output):
		return fmt.Errorf("--output %q is unknown: use table, json or yaml", o.output)
	case o.timeout <= 0:
		return fmt.Errorf("--timeout %s is not allowed: use more than 0", o.timeout)
	}
	return nil
}

func (o *verifyOptions) run(ctx context.Context, found kube.Target, stdout, stderr io.Writer) error {
	const doing = "verifying release"
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("timed out after %s: %w", o.timeout, context.DeadlineExceeded))
	defer cancel()
	raw, err := kube.NewRaw(found.Config, time.Now)
	if err != nil {
		return err
	}
	if err := o.settle(ctx, found, raw, stderr); err != nil {
		return o.explain(ctx, doing, found.Host, err)
	}
	v, err := o.verifier(found, raw)
	if err != nil {
		return err
	}
	v.WarnWithin = o.warnWithin
	report, err := v.Run(ctx)
	if err != nil {
		return o.explain(ctx, doing, found.Host, err)
	}
	if err := o.print(stdout, report); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return conclude(report)
}

// verdictError says that a report is not good.
type verdictError struct {
	verdict verify.Verdict
	message string
}

func (e *verdictError) Error() string { return e.message }

// conclude is the error that a report comes to, nil when all is well.
func conclude(r verify.Report) error {
	var parts []string
	switch r.Verdict {
	case verify.VerdictBroken:
		parts = append(parts, fmt.Sprintf("release %s is broken: see the findings", r.Release))
	case verify.VerdictExpiring:
		parts = append(parts, fmt.Sprintf("a certificate of release %s expires soon: see the findings", r.Release))
	}
	if len(r.MissingRights) > 0 {
		parts = append(
			parts,
			fmt.Sprintf(
				"verifying release %s in namespace %s was not possible in full: these rights are missing, grant them to whom the kubeconfig or the "+
					"pod names: %s",
				r.Release, r.Namespace, strings.Join(r.MissingRights, ", "),
			),
		)
	}
	switch {
	case len(parts) == 0:
		return nil
	case r.Verdict == verify.VerdictIncomplete:
		return errors.New(parts[0])
	}
	return &verdictError{r.Verdict, strings.Join(parts, "; ")}
}

func (o *verifyOptions) print(w io.Writer, r verify.Report) error {
	var text []byte
	var err error
	switch o.output {
	case outputJSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // commands hold ampersands
		return encoder.Encode(r)
	case outputYAML:
		text, err = yaml.Marshal(r)
	default:
		text = r.Table(coloured(w))
	}
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

// coloured reports whether w is a terminal whose user has not asked for no colours (https://no-color.org).
func coloured(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}
