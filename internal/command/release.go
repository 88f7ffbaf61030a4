package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
)

// releaseOptions are the flags of release.
type releaseOptions struct{ onRelease }

func newReleaseCommand(version string) *cobra.Command {
	o := releaseOptions{onRelease{version: version}}
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Give up the ownership of the CA bundles, so that Helm 4 may set them",
		Long: `Release makes the API server forget that kthena-certgen owns the CA bundles of a Helm release's webhook configurations. The
bundles stay as they are.

Helm 4 applies on the server's side, and there a field has owners: when Helm sets a CA bundle that kthena-certgen owns, which
is what a switch from auto to manual mode does, the API server refuses it as a conflict. Run this just before the switch. A
pod of auto mode that puts in a CA afterwards owns the bundle again; one that starts while its CA is there does not.

It prints one line for each webhook configuration.`,
		Example: `  kthena-certgen release --namespace kthena-system
  helm upgrade kthena charts/kthena --namespace kthena-system --values manual/values.yaml \
    --set-string global.webhook.caBundle="$(base64 -w0 both.crt)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, o.disown)
		},
	}
	cmd.Flags().SortFlags = false
	o.target.addFlags(cmd.Flags())
	o.addAccessFlags(cmd.Flags())
	return cmd
}

// disown gives up the ownership of every configuration, and reads again those that somebody else changes meanwhile.
func (o *releaseOptions) disown(ctx context.Context, client *kube.Client, log *slog.Logger, stdout io.Writer) error {
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
