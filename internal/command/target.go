package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// target are the flags that say which Helm release a command is about.
type target struct {
	namespace string
	release   string
}

func (o *target) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the Helm release (required)")
	fs.StringVar(&o.release, "release", "kthena", "name of the Helm release")
}

func (o *target) validate() error {
	if err := validateNamespace(o.namespace, "of the Helm release"); err != nil {
		return err
	}
	if problems := validation.IsDNS1123Subdomain(o.release); len(problems) > 0 {
		return fmt.Errorf("--release %q is not the name of a release: %s", o.release, problems[0])
	}
	return nil
}

// webhookConfigurations are those of the release. There is at least one, or an error.
func (o *target) webhookConfigurations(ctx context.Context, client *kube.Client) ([]webhook.Object, error) {
	// The chart's labels say of which release, but webhook configurations are in no namespace: the Services that they call are.
	all, err := client.WebhookConfigurations(ctx, "app.kubernetes.io/part-of=kthena,app.kubernetes.io/instance="+o.release)
	if err != nil {
		return nil, err
	}
	var found []webhook.Object
	for _, c := range all {
		if c.Serves(o.namespace) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("finding the webhook configurations of release %s/%s: there are none; check --namespace and --release", o.namespace, o.release)
	}
	return found, nil
}

// onRelease are the program's version and the flags of a command that works on the webhook configurations of a release.
type onRelease struct {
	version string
	target
	connection
}

// work is what such a command does. It writes its result to stdout.
type work func(ctx context.Context, client *kube.Client, log *slog.Logger, stdout io.Writer) error

// run checks the flags, connects, and does the work within the limit of time.
func (o *onRelease) run(cmd *cobra.Command, do work) error {
	if err := cmp.Or(o.target.validate(), o.connection.validate()); err != nil {
		return err
	}
	client, log, err := o.connect(cmd.ErrOrStderr(), o.version)
	if err != nil {
		return err
	}
	ctx, cancel := o.limit(cmd.Context())
	defer cancel()
	if err := do(ctx, client, log, cmd.OutOrStdout()); err != nil {
		return runError{err}
	}
	return nil
}
