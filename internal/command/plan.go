package command

import (
	"bytes"
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
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/plan"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

const outputText = "text"

// planOptions are the flags of plan; addFlags describes them.
type planOptions struct {
	target
	wanted  plan.Wanted
	output  string
	timeout time.Duration
}

func newPlanCommand(version string) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what a switch to another mode needs and costs, with the commands for this release",
		Long: `Plan looks at a release as it is and says what a switch to another mode of certificate management takes: the commands, in their
order, such that no request fails. It changes nothing.

It refuses what cannot work: a Secret that is missing or that the CA has not signed, a cert-manager whose CA injector replaces
what is trusted, an issuer that is not ready, a release that something else than Helm applies. Then it ends with exit code 3.

For manual mode it needs the values, which name the Secrets, and the CA: what generate has written, for example.

Besides the rights that verify needs, those to list Helm's Secrets in the namespace and, for cert-manager mode, to list
Deployments and read issuers. In manual mode, to read certificates, where cert-manager has written one of the Secrets.`,
		Example: `  kthena-certgen plan --namespace kthena-system --to cert-manager

  kthena-certgen generate --namespace kthena-system --output-dir manual
  kubectl apply --filename manual/secrets.yaml
  kthena-certgen plan --namespace kthena-system --to manual --values manual/values.yaml --ca-cert manual/ca.crt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			if err := o.read(); err != nil {
				return err
			}
			o.wanted.Kubeconfig, o.wanted.Context = o.access.Kubeconfig, o.access.Overrides.CurrentContext
			o.wanted.As = o.access.Overrides.AuthInfo.Impersonate
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

func (o *planOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	o.target.addFlags(fs)
	fs.StringVar(&o.wanted.Mode, "to", "", "mode to switch to: "+strings.Join(plan.Modes, ", ")+" (required)")
	fs.StringVar(&o.wanted.ValuesFile, "values", "", "file with values of the chart that the switch is to set; required for manual mode")
	fs.StringVar(&o.wanted.CAFile, "ca-cert", "", "PEM file with the CA that has signed the Secrets of manual mode; required for it")
	fs.StringVar(&o.wanted.Chart, "chart", "charts/kthena", "chart that the commands name: a folder, a package or a reference")
	fs.StringVarP(&o.output, "output", "o", outputText, "form of the plan: text or json")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Second, "limit for the whole run")
	addAccessFlags(fs, &o.access)
	for _, name := range []string{"cluster", "user"} { // validate says why
		cobra.CheckErr(fs.MarkHidden(name))
	}
}

func (o *planOptions) validate() error {
	if err := o.target.validate(); err != nil {
		return err
	}
	manual := o.wanted.Mode == verify.Manual
	switch {
	case o.wanted.Mode == "":
		return errors.New("--to is required: use " + strings.Join(plan.Modes, ", "))
	case !slices.Contains(plan.Modes, o.wanted.Mode):
		return fmt.Errorf("--to %q is no mode: use %s", o.wanted.Mode, strings.Join(plan.Modes, ", "))
	case manual && (o.wanted.ValuesFile == "" || o.wanted.CAFile == ""):
		return errors.New("--to manual needs --values and --ca-cert: name what generate has written, or your own")
	case !manual && o.wanted.CAFile != "":
		return errors.New("--ca-cert is for --to manual alone")
	case o.access.Overrides.Context.Cluster != "" || o.access.Overrides.Context.AuthInfo != "":
		return errors.New("--cluster and --user are not for plan: helm, which its commands call, has no such flags; name a context by --context")
	case o.wanted.Chart == "":
		return errors.New("--chart is empty: name the chart")
	case !slices.Contains([]string{outputText, outputJSON}, o.output):
		return fmt.Errorf("--output %q is unknown: use text or json", o.output)
	case o.timeout <= 0:
		return fmt.Errorf("--timeout %s is not allowed: use more than 0", o.timeout)
	}
	return nil
}

// read reads the files that the flags name.
func (o *planOptions) read() error {
	if o.wanted.ValuesFile != "" {
		text, err := os.ReadFile(o.wanted.ValuesFile)
		if err != nil {
			return fmt.Errorf("--values: %w", err)
		}
		if err := yaml.Unmarshal(text, &o.wanted.Values); err != nil {
			return fmt.Errorf("--values: reading %s: %s", o.wanted.ValuesFile, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	if o.wanted.CAFile != "" {
		var err error
		if o.wanted.CA, err = os.ReadFile(o.wanted.CAFile); err != nil {
			return fmt.Errorf("--ca-cert: %w", err)
		}
		if bytes.Contains(o.wanted.CA, []byte("PRIVATE KEY-----")) {
			return fmt.Errorf("--ca-cert %s holds a private key: name a file with the certificates alone", o.wanted.CAFile)
		}
	}
	return nil
}

func (o *planOptions) run(ctx context.Context, found kube.Target, stdout, stderr io.Writer) error {
	const doing = "planning the switch of release"
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
	p, err := plan.Make(ctx, v, o.wanted)
	if err != nil {
		return o.explain(ctx, doing, found.Host, err)
	}
	if err := o.print(stdout, p); err != nil {
		return fmt.Errorf("printing the plan: %w", err)
	}
	if len(p.Refused) > 0 {
		return &refusedPlan{fmt.Sprintf("release %s cannot be switched to %s as things are: %s", o.release, p.To, p.Refused[0])}
	}
	return nil
}

// refusedPlan says that a human must act before a switch.
type refusedPlan struct{ message string }

func (e *refusedPlan) Error() string { return e.message }

func (o *planOptions) print(w io.Writer, p plan.Plan) error {
	if o.output == outputJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // commands hold ampersands
		return encoder.Encode(p)
	}
	_, err := w.Write(p.Text())
	return err
}
