package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

const (
	logText = "text"
	logJSON = "json"
)

// connection are the flags of commands that speak to the API server.
type connection struct {
	timeout   time.Duration
	access    kube.Access
	logFormat string
}

func (o *connection) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.timeout, "timeout", 2*time.Minute, "limit for the whole run")
	o.addConnectionFlags(fs)
}

// addConnectionFlags adds the flags of a command that runs in pods, or until it is ended.
func (o *connection) addConnectionFlags(fs *pflag.FlagSet) {
	o.access.PodFirst = true
	fs.StringVar(
		&o.access.Kubeconfig, "kubeconfig", "",
		"kubeconfig file; default: the files that KUBECONFIG names, else the pod's service account, else ~/.kube/config",
	)
	o.addLogFlag(fs)
}

func (o *connection) addLogFlag(fs *pflag.FlagSet) {
	fs.StringVar(&o.logFormat, "log-format", logText, "format of the log: text or json")
}

func (o *connection) validate() error {
	if o.timeout <= 0 {
		return fmt.Errorf("--timeout %s is not allowed: use more than 0", o.timeout)
	}
	return o.validateLog()
}

func (o *connection) validateLog() error {
	if !slices.Contains([]string{logText, logJSON}, o.logFormat) {
		return fmt.Errorf("--log-format %q is unknown: use text or json", o.logFormat)
	}
	return nil
}

func (o *connection) logger(w io.Writer) *slog.Logger {
	if o.logFormat == logJSON {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// connect makes a client for the API server that the flags lead to, and a logger to stderr.
func (o *connection) connect(stderr io.Writer, version string) (*kube.Client, *slog.Logger, error) {
	found, err := kube.Config(o.access)
	if err != nil {
		return nil, nil, err
	}
	found.UserAgent = "kthena-certgen/" + version
	log := o.logger(stderr)
	client, err := kube.New(found.Config, log)
	return client, log, err
}

// addAccessFlags adds the flags that kubectl has for the way to the API server, by client-go's own.
func addAccessFlags(fs *pflag.FlagSet, a *kube.Access) {
	fs.StringVar(
		&a.Kubeconfig, "kubeconfig", "",
		"kubeconfig file; default: the files that KUBECONFIG names, else ~/.kube/config, else the pod's service account",
	)
	names := clientcmd.RecommendedConfigOverrideFlags("")
	for _, f := range []struct {
		clientcmd.FlagInfo
		description string
		target      *string
	}{
		{names.CurrentContext, "context of the kubeconfig", &a.Overrides.CurrentContext},
		{names.ContextOverrideFlags.ClusterName, "cluster of the kubeconfig, instead of the context's", &a.Overrides.Context.Cluster},
		{names.ContextOverrideFlags.AuthInfoName, "user of the kubeconfig, instead of the context's", &a.Overrides.Context.AuthInfo},
		{names.AuthOverrideFlags.Impersonate, "user to act as; yours needs the right to impersonate", &a.Overrides.AuthInfo.Impersonate},
		{names.Timeout, "limit for a single request, such as 30s; 0 is none", &a.Overrides.Timeout},
	} {
		f.Description = f.description
		f.BindStringFlag(fs, f.target)
	}
}

// limit bounds ctx by the flag --timeout.
func (o *connection) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("timed out after %s: %w", o.timeout, context.DeadlineExceeded))
}

// names are the values of a flag that is repeatable, or has several with commas between. Unlike pflag's slices it refuses an empty value,
// which a script has where a variable is not set: left out, nothing would tell that what it was to name is not looked after.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

// Type implements pflag.Value, with what pflag says of its own.
func (n *names) Type() string { return "stringSlice" }

func (n *names) Set(value string) error {
	if value == "" {
		return errors.New("it is empty: name one, or leave the flag out")
	}
	*n = append(*n, strings.Split(value, ",")...)
	return nil
}

// certificate are the flags of commands that make certificates.
type certificate struct {
	validity     time.Duration
	keyAlgorithm string
	keySize      int
}

func (o *certificate) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.validity, "validity", gen.DefaultValidity, "life of a new CA and certificate, at least 1h")
	fs.StringVar(&o.keyAlgorithm, "key-algorithm", gen.ECDSA, "algorithm of new keys: "+strings.Join(gen.Algorithms, ", "))
	fs.IntVar(&o.keySize, "key-size", 0, "size of new keys in bits: 256 or 384 for ECDSA, 2048, 3072 or 4096 for RSA; 0 is the smallest")
}

func (o *certificate) validate() error {
	spec := o.spec("a")
	if err := spec.Key.Validate(); err != nil {
		return fmt.Errorf("--key-algorithm, --key-size: %w", err)
	}
	// What is left is the validity.
	if err := spec.Validate(); err != nil {
		return fmt.Errorf("--validity: %w", err)
	}
	return nil
}

// spec is the certificate that the flags ask for, for those DNS names.
func (o *certificate) spec(dnsNames ...string) gen.Spec {
	return gen.Spec{DNSNames: dnsNames, Validity: o.validity, Key: gen.KeySpec{Algorithm: o.keyAlgorithm, Size: o.keySize}}
}

// validateNamespace reports what is wrong with the flag --namespace, whose is the namespace of what.
func validateNamespace(namespace, what string) error {
	if namespace == "" {
		return errors.New("--namespace is required: name the namespace " + what)
	}
	if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
		return fmt.Errorf("--namespace %q is not a namespace: %s", namespace, problems[0])
	}
	return nil
}
