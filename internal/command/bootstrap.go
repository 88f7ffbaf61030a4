package command

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// fieldManager is the name that the API server records the program's changes under.
const fieldManager = "kthena-certgen"

func newBootstrapCommand(version string) *cobra.Command {
	o := bootstrapOptions{version: version}
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Ensure the Secret, put its CA into the webhook configurations, write the files",
		Long: `Bootstrap is one idempotent pass that gives one server its certificate:

 1. It makes sure that the Secret holds a valid certificate for the DNS names. A missing Secret is created with a new
    self-signed CA and a server certificate, a valid one is reused. One that kthena-certgen has written is renewed when
    it is about to expire and repaired when it is broken; any other is used while it is valid, never changed, and refused
    when it is not.
 2. It puts the Secret's CA certificates into every entry of the webhook configurations, beside those that are there.
 3. It writes tls.crt, tls.key and ca.crt into the output folder.

A renewal always makes a new CA; the old ones stay trusted until they expire. Servers load their files once, so roll the
pods after a renewal that --force-renew asked for. Without an output folder no files are written: this is how to run it
from outside the cluster, with a kubeconfig.

What it has created, renewed, repaired or refused it also tells in an Event of the Secret, if it may.

It logs to stderr and ends with one line of JSON on stdout that says what was done.`,
		Example: `  # As an init container does; the folder must exist.
  mkdir -p certs
  kthena-certgen bootstrap --namespace kthena-system --secret-name workload-webhook-certs-auto \
    --dns-name workload-webhook.kthena-system.svc --dns-name workload-webhook.kthena-system.svc.cluster.local \
    --validating-webhook-configuration kthena-workload-validating-webhook --output-dir certs

  # From your own machine: renew now, then roll the pods.
  kthena-certgen bootstrap --kubeconfig ~/.kube/config --force-renew --namespace kthena-system \
    --secret-name workload-webhook-certs-auto \
    --dns-name workload-webhook.kthena-system.svc --dns-name workload-webhook.kthena-system.svc.cluster.local \
    --validating-webhook-configuration kthena-workload-validating-webhook
  kubectl rollout restart --namespace kthena-system deployment/kthena-workload`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			client, log, err := o.connect(cmd.ErrOrStderr(), o.version)
			if err != nil {
				return err
			}
			if err := o.run(cmd.Context(), client, log, cmd.OutOrStdout()); err != nil {
				return runError{err}
			}
			return nil
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *bootstrapOptions) run(ctx context.Context, client *kube.Client, log *slog.Logger, stdout io.Writer) error {
	start := time.Now()
	ctx, cancel := o.limit(ctx)
	defer cancel()

	sum, err := o.pass(client, log).Run(ctx)
	reason := bootstrap.Refused(err)
	switch {
	case reason != "":
		sum.Outcome, sum.Reason = "refused", reason
	case err != nil:
		sum.Outcome = "failed"
	}
	line := struct {
		bootstrap.Summary
		Elapsed string `json:"elapsed"`
	}{sum, time.Since(start).Round(time.Millisecond).String()}
	return errors.Join(err, json.NewEncoder(stdout).Encode(line))
}

func (o *bootstrapOptions) pass(client *kube.Client, log *slog.Logger) *bootstrap.Pass {
	pass := &bootstrap.Pass{
		Secret: &secret.Store{
			Client:       client.Secrets(o.namespace),
			Namespace:    o.namespace,
			Name:         o.secretName,
			Labels:       o.labels,
			Annotations:  o.secretAnnotations(),
			Version:      o.version,
			FieldManager: fieldManager,
			Log:          log,
		},
		Want:   secret.Want{Spec: o.spec(o.dnsNames...), RenewBefore: o.renewBefore, Force: o.forceRenew},
		Dir:    o.outputDir,
		Events: client.Events(o.namespace),
		Log:    log,
	}
	add := func(api webhook.API, kind string, names []string) {
		for _, name := range names {
			pass.Configurations = append(pass.Configurations, &webhook.Configuration{
				API: api, Kind: kind, Name: name, Annotations: o.awaited, Patience: o.patience, FieldManager: fieldManager, Log: log,
			})
		}
	}
	add(client.MutatingWebhookConfigurations(), webhook.Mutating, o.mutating)
	add(client.ValidatingWebhookConfigurations(), webhook.Validating, o.validating)
	return pass
}
