package command

import (
	"fmt"
	"maps"
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

// bootstrapOptions are the program's version and the flags of bootstrap; addFlags describes them.
type bootstrapOptions struct {
	version     string
	namespace   string
	secretName  string
	dnsNames    []string
	mutating    []string
	validating  []string
	awaited     map[string]string
	patience    time.Duration
	outputDir   string
	labels      map[string]string
	annotations []string // key=value
	renewBefore time.Duration
	forceRenew  bool
	certificate
	connection
}

func (o *bootstrapOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the Secret (required)")
	fs.StringVar(&o.secretName, "secret-name", "", "name of the Secret (required)")
	fs.Var((*names)(&o.dnsNames), "dns-name", "DNS name that the server is called by; repeatable, at least one is required")
	fs.Var((*names)(&o.mutating), "mutating-webhook-configuration",
		"MutatingWebhookConfiguration whose entries must trust the CA; repeatable")
	fs.Var((*names)(&o.validating), "validating-webhook-configuration",
		"ValidatingWebhookConfiguration whose entries must trust the CA; repeatable")
	fs.StringToStringVar(
		&o.awaited, "await-annotation", nil,
		"annotation key=value that the webhook configurations should have before they are changed; waited for "+
			webhook.AnnotationPatience.String()+" at most; repeatable",
	)
	fs.DurationVar(
		&o.patience, "webhook-patience", 0,
		"how long to wait for a webhook configuration that does not exist, if a controller gives it the CA later; 0 is until --timeout",
	)
	fs.StringVar(&o.outputDir, "output-dir", "", "existing folder to write tls.crt, tls.key and ca.crt to; none are written when empty")
	fs.StringToStringVar(&o.labels, "label", nil, "label key=value for the Secret; repeatable")
	// A value may hold commas.
	fs.StringArrayVar(&o.annotations, "annotation", nil, "annotation key=value for the Secret; repeatable")
	o.certificate.addFlags(fs)
	fs.DurationVar(
		&o.renewBefore, "renew-before", 0,
		"remaining life below which the certificate is renewed; 0 is a third of the validity, 30s less than it the most",
	)
	fs.BoolVar(
		&o.forceRenew, "force-renew", false,
		"renew a valid certificate now; for people, not for init containers: every run with it makes a new CA",
	)
	o.connection.addFlags(fs)
}

// validate reports the first flag that is wrong, by its name and with what is allowed. Nothing has been contacted then.
func (o *bootstrapOptions) validate() error {
	if err := validateNamespace(o.namespace, "of the Secret"); err != nil {
		return err
	}
	if err := o.connection.validate(); err != nil {
		return err
	}
	switch {
	case o.secretName == "":
		return fmt.Errorf("--secret-name is required: name the Secret")
	case len(o.dnsNames) == 0:
		return fmt.Errorf("--dns-name is required: name at least one DNS name of the server")
	}
	if most := o.spec().MaxRenewBefore(); o.renewBefore < 0 || o.renewBefore > most && o.validity > 0 {
		return fmt.Errorf("--renew-before %s is not allowed: use 0 to %s, 30s less than --validity", o.renewBefore, most)
	}
	for _, name := range o.dnsNames {
		if err := gen.ValidateDNSName(name); err != nil {
			return fmt.Errorf("--dns-name: %w", err)
		}
	}
	for _, f := range []struct {
		flag  string
		names []string
	}{
		{"--secret-name", []string{o.secretName}},
		{"--mutating-webhook-configuration", o.mutating},
		{"--validating-webhook-configuration", o.validating},
	} {
		for _, name := range f.names {
			if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
				return fmt.Errorf("%s %q is not a name: %s", f.flag, name, problems[0])
			}
		}
	}
	if o.patience < 0 {
		return fmt.Errorf("--webhook-patience %s is not allowed: use 0 or more", o.patience)
	}
	for _, key := range slices.Sorted(maps.Keys(o.awaited)) {
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			return fmt.Errorf("--await-annotation %q is not an annotation's key: %s", key, problems[0])
		}
	}
	for _, annotation := range o.annotations {
		key, _, found := strings.Cut(annotation, "=")
		if !found {
			return fmt.Errorf("--annotation %q has no value: write key=value", annotation)
		}
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			return fmt.Errorf("--annotation %q is not an annotation's key: %s", key, problems[0])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.labels)) {
		label := map[string]string{key: o.labels[key]}
		if problems := metav1validation.ValidateLabels(label, field.NewPath("--label")); len(problems) > 0 {
			return problems[0]
		}
	}
	if err := o.certificate.validate(); err != nil {
		return err
	}
	if o.outputDir != "" {
		// A folder that cannot be written to would make everything before it pointless.
		if err := certdir.Check(o.outputDir); err != nil {
			return fmt.Errorf("--output-dir: an existing folder that can be written to is needed: %w", err)
		}
	}
	return nil
}

// secretAnnotations are those for the Secret, by key.
func (o *bootstrapOptions) secretAnnotations() map[string]string {
	annotations := make(map[string]string, len(o.annotations))
	for _, annotation := range o.annotations {
		key, value, _ := strings.Cut(annotation, "=")
		annotations[key] = value
	}
	return annotations
}
