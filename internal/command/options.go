package command

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

const (
	logText = "text"
	logJSON = "json"
)

// bootstrapOptions are the program's version and the flags of bootstrap; addFlags describes them.
type bootstrapOptions struct {
	version      string
	kubeconfig   string
	namespace    string
	secretName   string
	dnsNames     []string
	mutating     []string
	validating   []string
	annotations  map[string]string
	outputDir    string
	labels       map[string]string
	validity     time.Duration
	renewBefore  time.Duration
	forceRenew   bool
	keyAlgorithm string
	keySize      int
	timeout      time.Duration
	logFormat    string
}

func (o *bootstrapOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.namespace, "namespace", "", "namespace of the Secret (required)")
	fs.StringVar(&o.secretName, "secret-name", "", "name of the Secret (required)")
	fs.StringSliceVar(&o.dnsNames, "dns-name", nil, "DNS name that the server is called by; repeatable, at least one is required")
	fs.StringSliceVar(&o.mutating, "mutating-webhook-configuration", nil, "MutatingWebhookConfiguration whose entries must trust the CA; repeatable")
	fs.StringSliceVar(&o.validating, "validating-webhook-configuration", nil, "ValidatingWebhookConfiguration whose entries must trust the CA; repeatable")
	fs.StringToStringVar(&o.annotations, "await-annotation", nil, "annotation key=value that the webhook configurations should have before they are changed; waited for "+webhook.AnnotationPatience.String()+" at most; repeatable")
	fs.StringVar(&o.outputDir, "output-dir", "", "existing folder to write tls.crt, tls.key and ca.crt to; none are written when empty")
	fs.StringToStringVar(&o.labels, "label", nil, "label key=value for the Secret; repeatable")
	fs.DurationVar(&o.validity, "validity", gen.DefaultValidity, "life of a new CA and certificate, at least 1h")
	fs.DurationVar(&o.renewBefore, "renew-before", 0, "remaining life below which the certificate is renewed; 0 is a third of the validity")
	fs.BoolVar(&o.forceRenew, "force-renew", false, "renew a valid certificate now; for people, not for init containers: every run with it makes a new CA")
	fs.StringVar(&o.keyAlgorithm, "key-algorithm", gen.ECDSA, "algorithm of new keys: "+strings.Join(gen.Algorithms, ", "))
	fs.IntVar(&o.keySize, "key-size", 0, "size of new keys in bits: 256 or 384 for ECDSA, 2048, 3072 or 4096 for RSA; 0 is the smallest")
	fs.DurationVar(&o.timeout, "timeout", 2*time.Minute, "limit for the whole pass")
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file; default: the files that KUBECONFIG names, else the pod's service account")
	fs.StringVar(&o.logFormat, "log-format", logText, "format of the log: text or json")
}

// validate reports the first flag that is wrong, by its name and with what is allowed. Nothing has been contacted then.
func (o *bootstrapOptions) validate() error {
	switch {
	case o.namespace == "":
		return fmt.Errorf("--namespace is required: name the namespace of the Secret")
	case len(validation.IsDNS1123Label(o.namespace)) > 0:
		return fmt.Errorf("--namespace %q is not a namespace: %s", o.namespace, validation.IsDNS1123Label(o.namespace)[0])
	case o.secretName == "":
		return fmt.Errorf("--secret-name is required: name the Secret")
	case len(o.dnsNames) == 0:
		return fmt.Errorf("--dns-name is required: name at least one DNS name of the server")
	case o.timeout <= 0:
		return fmt.Errorf("--timeout %s is not allowed: use more than 0", o.timeout)
	case o.renewBefore < 0 || o.renewBefore >= o.validity && o.validity > 0:
		return fmt.Errorf("--renew-before %s is not allowed: use 0 to less than --validity (%s)", o.renewBefore, o.validity)
	case !slices.Contains([]string{logText, logJSON}, o.logFormat):
		return fmt.Errorf("--log-format %q is unknown: use text or json", o.logFormat)
	}
	for _, name := range o.dnsNames {
		if err := gen.ValidateDNSName(name); err != nil {
			return fmt.Errorf("--dns-name: %w", err)
		}
	}
	for flag, names := range map[string][]string{
		"--secret-name":                      {o.secretName},
		"--mutating-webhook-configuration":   o.mutating,
		"--validating-webhook-configuration": o.validating,
	} {
		for _, name := range names {
			if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
				return fmt.Errorf("%s %q is not a name: %s", flag, name, problems[0])
			}
		}
	}
	for key := range o.annotations {
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			return fmt.Errorf("--await-annotation %q is not an annotation's key: %s", key, problems[0])
		}
	}
	if problems := metav1validation.ValidateLabels(o.labels, field.NewPath("--label")); len(problems) > 0 {
		return problems[0]
	}
	// What is left is the certificate's: the validity, then the key.
	spec := o.spec()
	if err := spec.Key.Validate(); err != nil {
		return fmt.Errorf("--key-algorithm, --key-size: %w", err)
	}
	if err := spec.Validate(); err != nil {
		return fmt.Errorf("--validity: %w", err)
	}
	if o.outputDir != "" {
		// A folder that cannot be written to would make everything before it pointless.
		if err := certdir.Check(o.outputDir); err != nil {
			return fmt.Errorf("--output-dir: an existing folder that can be written to is needed: %w", err)
		}
	}
	return nil
}

func (o *bootstrapOptions) logger(w io.Writer) *slog.Logger {
	if o.logFormat == logJSON {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
