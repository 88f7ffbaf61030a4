package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/volcano-sh/kthena-certgen/internal/offline"
	"github.com/volcano-sh/kthena-certgen/internal/shell"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// generateOptions are the flags of generate; addFlags describes them.
type generateOptions struct {
	site      offline.Site
	outputDir string
	caCert    string
	caKey     string
	csrOnly   bool
	imported  bool
	force     bool
	certificate
}

func newGenerateCommand() *cobra.Command {
	var o generateOptions
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write Secrets, CA bundle and values for manual mode into a folder, offline",
		Long: `Generate writes all that manual mode needs into a folder: a certificate for each server of the chart, the Secrets that hold
them (secrets.yaml), the values that name both (values.yaml) and the CA that clients have to trust (ca.crt). It needs no
cluster. What it has written it has checked as the API server would.

Who signs:

 - A new CA by default. It signs all certificates, and its key is never stored.
 - Your own CA with --ca-cert and --ca-key. An intermediate CA is sent along by the servers; add its root to the file.
 - A CA elsewhere with --csr-only, which writes keys and certificate requests (tls.csr). Put each answer beside its key as
   tls.crt; then --import with --ca-cert completes the folder.

Keys are readable by you alone; on Windows that is up to the folder, so use one that only you have access to. The folder must
be empty or not there; --force replaces what generate has written before, and nothing else. Either everything is written or
nothing; a run that is killed may leave a folder without secrets.yaml and values.yaml, and is repeated with --force. A folder
that is there is filled in place, so it may be a mount point or the one that you work in.`,
		Example: `  kthena-certgen generate --namespace kthena-system --output-dir manual
  kubectl create namespace kthena-system
  kubectl apply --filename manual/secrets.yaml
  helm install kthena charts/kthena --namespace kthena-system --values manual/values.yaml --wait

  # Requests for a corporate PKI to sign, with one for the router's TLS.
  kthena-certgen generate --namespace kthena-system --output-dir corporate --router-dns-name models.example.com --csr-only

  # With each answer as tls.crt beside its request:
  kthena-certgen generate --namespace kthena-system --output-dir corporate --router-dns-name models.example.com --import \
    --ca-cert corporate-ca.crt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.OutOrStdout())
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *generateOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVarP(&o.site.Namespace, "namespace", "n", "", "namespace of the Helm release (required)")
	fs.StringVar(&o.outputDir, "output-dir", "", "folder to write to (required)")
	fs.StringSliceVar(&o.site.Subcharts, "subchart", offline.Subcharts, "subchart that is installed; repeatable")
	fs.StringVar(&o.site.ClusterDomain, "cluster-domain", "cluster.local", "DNS domain of the cluster")
	fs.StringVar(&o.site.RouterDNSName, "router-dns-name", "", "DNS name that clients call the router by; turns the router's TLS on")
	fs.StringVar(&o.caCert, "ca-cert", "", "PEM file with the certificate of your own CA, followed by those above it up to the root")
	fs.StringVar(&o.caKey, "ca-key", "", "PEM file with the key of your own CA, without a passphrase")
	fs.BoolVar(&o.csrOnly, "csr-only", false, "write keys and certificate requests only, for a CA elsewhere")
	fs.BoolVar(&o.imported, "import", false, "complete a folder of --csr-only, in which each tls.crt has been put beside its tls.key")
	fs.BoolVar(&o.force, "force", false, "replace what generate has written to the folder before")
	o.certificate.addFlags(fs)
}

// validate reports the first flag that is wrong. Nothing has been read then.
func (o *generateOptions) validate() error {
	if err := validateNamespace(o.site.Namespace, "of the Helm release"); err != nil {
		return err
	}
	switch {
	case o.outputDir == "":
		return errors.New("--output-dir is required: name the folder to write to")
	case o.csrOnly && o.imported:
		return errors.New("--csr-only and --import exclude each other: use them one after the other")
	case o.csrOnly && (o.caCert != "" || o.caKey != ""):
		return errors.New("--csr-only needs neither --ca-cert nor --ca-key: the CA signs elsewhere")
	case o.imported && o.caKey != "":
		return errors.New("--import needs no --ca-key: the CA has signed already")
	case o.imported && o.caCert == "":
		return errors.New("--import needs --ca-cert: name the file with the certificates of the CA that has signed")
	case !o.imported && (o.caCert == "") != (o.caKey == ""):
		return errors.New("--ca-cert and --ca-key belong together: name both or neither")
	}
	if err := o.site.Validate(); err != nil {
		return fmt.Errorf("--subchart, --cluster-domain, --router-dns-name: %w", err)
	}
	return o.certificate.validate()
}

func (o *generateOptions) run(stdout io.Writer) error {
	now := time.Now()
	spec := o.spec()
	var cas []byte
	var authority *gen.Authority
	var err error
	if o.caCert != "" {
		if cas, err = os.ReadFile(o.caCert); err != nil {
			return fmt.Errorf("--ca-cert: %w", err)
		}
	}
	if o.caKey != "" {
		key, err := os.ReadFile(o.caKey)
		if err != nil {
			return fmt.Errorf("--ca-key: %w", err)
		}
		if authority, err = gen.LoadAuthority(cas, key, now); err != nil {
			return fmt.Errorf("--ca-cert, --ca-key: %w", err)
		}
	}
	var done []offline.Certificate
	switch {
	case o.csrOnly:
		done, err = offline.Request(o.outputDir, o.site, spec, o.force)
	case o.imported:
		done, err = offline.Import(o.outputDir, o.site, cas, o.force, now)
	default:
		if authority == nil {
			if authority, err = gen.NewAuthority(spec, now); err != nil {
				return runError{err}
			}
		}
		done, err = offline.Generate(o.outputDir, o.site, authority, spec, o.force, now)
	}
	if err != nil {
		return runError{err}
	}
	return o.explain(stdout, done)
}

// explain prints what has been written and what is to be done with it.
func (o *generateOptions) explain(w io.Writer, done []offline.Certificate) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SECRET\tENDS\tDNS NAMES")
	for _, c := range done {
		end := "-"
		if !c.NotAfter.IsZero() {
			end = c.NotAfter.UTC().Format(time.DateOnly)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", c.Secret, end, strings.Join(c.DNSNames, " "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(o.outputDir, name) }
	if o.csrOnly {
		_, err := fmt.Fprintf(w, `
Have your CA sign each %s, put each certificate beside its key as tls.crt, then:

  kthena-certgen generate%s --import --ca-cert FILE

FILE holds the certificates of the CA that has signed and of those above it up to the root.
`, file("*/tls.csr"), o.arguments())
		return err
	}
	first := done[0].NotAfter
	for _, c := range done {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	secrets, values := file("secrets.yaml"), file("values.yaml")
	_, err := fmt.Fprintf(w, `
Next:

  kubectl apply --filename %s
  helm install kthena charts/kthena --namespace %s --values %s

%s and the files tls.key hold private keys: keep them safe. Nobody renews these certificates: replace them before %s.
`, shell.Item(secrets), o.site.Namespace, shell.Item(values), secrets, first.UTC().Format(time.DateOnly))
	if err == nil && runtime.GOOS == "windows" {
		_, err = fmt.Fprintln(w, "Windows does not limit who may read them by the files themselves: keep the folder where you alone have access.")
	}
	return err
}

// arguments are the flags that name the site and the folder, as far as they are not the defaults.
func (o *generateOptions) arguments() string {
	line := " --namespace " + o.site.Namespace + " --output-dir " + shell.Quote(o.outputDir)
	if !slices.Equal(o.site.Subcharts, offline.Subcharts) {
		line += " --subchart " + strings.Join(o.site.Subcharts, ",")
	}
	if o.site.ClusterDomain != "cluster.local" {
		line += " --cluster-domain " + o.site.ClusterDomain
	}
	if o.site.RouterDNSName != "" {
		line += " --router-dns-name " + o.site.RouterDNSName
	}
	return line
}
