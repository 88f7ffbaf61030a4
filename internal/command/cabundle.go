package command

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// The values of --output of ca-bundle.
const (
	outputPEM    = "pem"
	outputBase64 = "base64"
)

// caBundleOptions are the flags of ca-bundle.
type caBundleOptions struct {
	output string
	onRelease
}

func newCABundleCommand(version string) *cobra.Command {
	o := caBundleOptions{onRelease: onRelease{version: version}}
	cmd := &cobra.Command{
		Use:   "ca-bundle",
		Short: "Print the CA certificates that the API server trusts for the webhooks",
		Long: `Ca-bundle prints the CA certificates in the webhook configurations of a Helm release: those of all entries together, each
once, without those that have expired. It only reads.

During a switch to manual mode old pods serve the old certificate and new ones yours, so the bundle of that upgrade has to
hold both CAs: what this prints, and your CA.`,
		Example: `  kthena-certgen ca-bundle --namespace kthena-system > both.crt
  cat manual/ca.crt >> both.crt
  helm upgrade kthena charts/kthena --namespace kthena-system --values manual/values.yaml --wait \
    --set-string global.webhook.caBundle="$(base64 -w0 both.crt)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output != outputPEM && o.output != outputBase64 {
				return fmt.Errorf("--output %q is unknown: use pem or base64", o.output)
			}
			return o.run(cmd, o.print)
		},
	}
	cmd.Flags().SortFlags = false
	o.target.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&o.output, "output", "o", outputPEM, "form of the certificates: pem, or base64 of it, as the value global.webhook.caBundle wants it")
	o.addAccessFlags(cmd.Flags())
	return cmd
}

func (o *caBundleOptions) print(ctx context.Context, client *kube.Client, log *slog.Logger, stdout io.Writer) error {
	found, err := o.webhookConfigurations(ctx, client)
	if err != nil {
		return err
	}
	var set []*x509.Certificate
	var others [][]byte
	now := time.Now()
	for _, c := range found {
		for _, e := range c.Entries {
			certs, unreadable := gen.ParseCertificates(e.CABundle)
			if len(certs) == 0 || len(unreadable) > 0 {
				log.Warn("entry's CA bundle is not as it should be", "kind", c.Kind, "name", c.Name, "entry", e.Name, "certificates", len(certs), "malformed", len(unreadable))
			}
			// An API server that was built with another Go may trust what this program cannot read.
			for _, der := range unreadable {
				if !slices.ContainsFunc(others, func(o []byte) bool { return bytes.Equal(o, der) }) {
					others = append(others, der)
				}
			}
			for _, cert := range certs {
				if !now.After(cert.NotAfter) && !gen.Contains(set, cert) {
					set = append(set, cert)
				}
			}
		}
	}
	if len(set) == 0 {
		return fmt.Errorf("reading the CA bundles of release %s/%s: there is no CA certificate in them that has not expired", o.namespace, o.release)
	}
	out := gen.EncodeCertificates(set, others...)
	if o.output == outputBase64 {
		out = append([]byte(base64.StdEncoding.EncodeToString(out)), '\n')
	}
	_, err = stdout.Write(out)
	return err
}
