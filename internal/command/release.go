package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	fs.StringVar(&o.namespace, "namespace", "", "namespace of the Helm release (required)")
	fs.StringVar(&o.release, "release", "", "name of the Helm release (required)")
}

func (o *target) validate() error {
	if err := validateNamespace(o.namespace, "of the Helm release"); err != nil {
		return err
	}
	if o.release == "" {
		return errors.New("--release is required: name the Helm release")
	}
	if problems := validation.IsDNS1123Subdomain(o.release); len(problems) > 0 {
		return fmt.Errorf("--release %q is not a name: %s", o.release, problems[0])
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

// releaseOptions are the program's version and the flags of release.
type releaseOptions struct {
	version string
	target
	connection
}

func newReleaseCommand(version string) *cobra.Command {
	o := releaseOptions{version: version}
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Give up the ownership of the CA bundles, so that Helm 4 may set them",
		Long: `Release makes the API server forget that kthena-certgen owns the CA bundles of a Helm release's webhook configurations. The
bundles stay as they are.

Helm 4 applies on the server's side, and there a field has owners: when Helm sets a CA bundle that kthena-certgen owns, which
is what a switch from auto to manual mode does, the API server refuses it as a conflict. Run this just before the switch. A
pod of auto mode that puts in a CA afterwards owns the bundle again; one that starts while its CA is there does not.

It prints one line for each webhook configuration.`,
		Example: `  kthena-certgen release --namespace kthena-system --release kthena
  helm upgrade kthena charts/kthena --namespace kthena-system --values manual/values.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(o.target.validate(), o.connection.validate()); err != nil {
				return err
			}
			client, log, err := o.connect(cmd.ErrOrStderr(), o.version)
			if err != nil {
				return err
			}
			ctx, cancel := o.limit(cmd.Context())
			defer cancel()
			if err := o.run(ctx, client, log, cmd.OutOrStdout()); err != nil {
				return runError{err}
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	o.target.addFlags(cmd.Flags())
	o.connection.addFlags(cmd.Flags())
	return cmd
}

// run gives up the ownership of every configuration, and reads again those that somebody else changes meanwhile.
func (o *releaseOptions) run(ctx context.Context, client *kube.Client, log *slog.Logger, stdout io.Writer) error {
	done := map[string]bool{}
	for again := true; again; {
		again = false
		found, err := o.webhookConfigurations(ctx, client)
		if err != nil {
			return err
		}
		for _, c := range found {
			id := c.Kind + " " + c.Name
			if done[id] {
				continue
			}
			state := "is not owned"
			if patch := c.Disown(fieldManager); patch != nil {
				err := client.PatchWebhookConfiguration(ctx, c.Kind, c.Name, patch, metav1.PatchOptions{FieldManager: fieldManager})
				if apierrors.IsConflict(err) {
					log.Info("somebody else has changed it: trying again", "kind", c.Kind, "name", c.Name)
					again = true
					continue
				}
				if err != nil {
					return fmt.Errorf("patching %s: %w", id, err)
				}
				state = "is released"
			}
			done[id] = true
			if _, err := fmt.Fprintln(stdout, id, state); err != nil {
				return err
			}
		}
	}
	return nil
}
