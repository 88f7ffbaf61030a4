package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// The values of --output of ca-bundle.
const (
	outputPEM    = "pem"
	outputBase64 = "base64"
)

// caBundleOptions are the flags of ca-bundle.
type caBundleOptions struct {
	output string
	// add is the file with the CAs that the entries are to trust as well, cas what it holds.
	add string
	cas gen.CASet
	onRelease
}

func newCABundleCommand(version string) *cobra.Command {
	o := caBundleOptions{onRelease: onRelease{version: version}}
	cmd := &cobra.Command{
		Use:   "ca-bundle",
		Short: "Print the CA certificates that the API server trusts for the webhooks",
		Long: `Ca-bundle prints the CA certificates in the webhook configurations of a Helm release: those of all entries together, each
once, without those that have expired. It only reads, unless --add is given.

During a switch to manual mode old pods serve the old certificate and new ones yours, so the bundle of that upgrade has to
hold both CAs. Helm changes Deployments before webhook configurations, and a new pod may be quicker, so the API server has to
trust your CA before the upgrade: --add puts it into every entry, beside what is there, and what is printed holds it, too.`,
		Example: `  kthena-certgen ca-bundle --namespace kthena-system --add manual/ca.crt > both.crt
  helm upgrade kthena charts/kthena --namespace kthena-system --values manual/values.yaml --wait \
    --set-string global.webhook.caBundle="$(base64 -w0 both.crt)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output != outputPEM && o.output != outputBase64 {
				return fmt.Errorf("--output %q is unknown: use pem or base64", o.output)
			}
			if o.add != "" {
				if err := o.readCAs(); err != nil {
					return err
				}
			}
			return o.run(cmd, o.print)
		},
	}
	cmd.Flags().SortFlags = false
	o.target.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(
		&o.output, "output", "o", outputPEM, "form of the certificates: pem, or base64 of it, as the value global.webhook.caBundle wants it",
	)
	cmd.Flags().StringVar(
		&o.add, "add", "", "PEM file with CA certificates that the webhook entries are to trust besides those that they trust already",
	)
	o.addAccessFlags(cmd.Flags())
	return cmd
}

func (o *caBundleOptions) readCAs() error {
	data, err := os.ReadFile(o.add)
	if err != nil {
		return fmt.Errorf("--add: %w", err)
	}
	if o.cas, _ = gen.ParseCertificates(data); len(o.cas) == 0 {
		return fmt.Errorf(
			"--add: %s holds no certificate that the API server would read: %s", o.add, cmp.Or(gen.Overlooked(data), "it has to be PEM"),
		)
	}
	return nil
}

// trust puts the CAs to add into the entries of all configurations.
func (o *caBundleOptions) trust(ctx context.Context, client *kube.Client, log *slog.Logger, found []kube.WebhookConfiguration) error {
	for _, of := range found {
		c := webhook.Configuration{API: client.ConfigurationsOf(of.Kind), Kind: of.Kind, Name: of.Name, FieldManager: fieldManager, Log: log}
		if _, err := c.Trust(ctx, o.cas); err != nil {
			return err
		}
	}
	return nil
}

func (o *caBundleOptions) print(ctx context.Context, client *kube.Client, log *slog.Logger, stdout io.Writer) error {
	found, err := o.webhookConfigurations(ctx, client)
	if err != nil {
		return err
	}
	if len(o.cas) > 0 {
		if err := o.trust(ctx, client, log, found); err != nil {
			return err
		}
		if found, err = o.webhookConfigurations(ctx, client); err != nil {
			return err
		}
	}
	var set gen.CASet
	var others [][]byte
	now := time.Now()
	for _, c := range found {
		for _, e := range c.Entries {
			certs, unreadable := gen.ParseCertificates(e.CABundle)
			if len(certs) == 0 || len(unreadable) > 0 {
				log.Warn(
					"entry's CA bundle is not as it should be", "kind", c.Kind, "name", c.Name, "entry", e.Name, "certificates", len(certs), "malformed",
					len(unreadable),
				)
			}
			// An API server that was built with another Go may trust what this program cannot read.
			for _, der := range unreadable {
				if !slices.ContainsFunc(others, func(o []byte) bool { return bytes.Equal(o, der) }) {
					others = append(others, der)
				}
			}
			for _, cert := range certs {
				if !now.After(cert.NotAfter) && !set.Contains(cert) {
					set = append(set, cert)
				}
			}
		}
	}
	if len(set) == 0 {
		return fmt.Errorf(
			"reading the CA bundles of release %s/%s: there is no CA certificate in them that has not expired", o.namespace, o.release,
		)
	}
	out := set.PEM(others...)
	if o.output == outputBase64 {
		out = append([]byte(base64.StdEncoding.EncodeToString(out)), '\n')
	}
	_, err = stdout.Write(out)
	return err
}
