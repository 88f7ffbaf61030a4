package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// target are the flags that say which Helm release a command is about, and how a person gets there.
type target struct {
	namespace string
	release   string
	access    kube.Access
}

// usualNamespace is where the manual installs the chart.
const usualNamespace = "kthena-system"

func (o *target) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(
		&o.namespace, "namespace", "n", "",
		"namespace of the Helm release; default: the context's, or "+usualNamespace+" when the release is there and not in the context's",
	)
	fs.StringVar(&o.release, "release", "kthena", "name of the Helm release")
}

func (o *target) validate() error {
	if o.namespace != "" {
		if err := validateNamespace(o.namespace, "of the Helm release"); err != nil {
			return err
		}
	}
	if problems := validation.IsDNS1123Subdomain(o.release); len(problems) > 0 {
		return fmt.Errorf("--release %q is not the name of a release: %s", o.release, problems[0])
	}
	return nil
}

// configurations are webhook configurations as far as they say where a release is.
type configurations struct {
	Items []struct {
		Webhooks []struct {
			ClientConfig struct{ Service *struct{ Namespace string } }
		}
	}
}

// verifier looks at the release, whose namespace settle has decided on. It reaches pods directly from a pod, and through the API server
// from elsewhere.
func (o *target) verifier(found kube.Target, raw *kube.Raw) (*verify.Verifier, error) {
	v := &verify.Verifier{API: raw, Release: o.release, Namespace: o.namespace, Now: time.Now}
	if found.InPod {
		v.Dialer = &kube.PodNetwork{}
		return v, nil
	}
	var err error
	v.Dialer, err = kube.NewPortForward(found.Config, raw)
	return v, err
}

// settle decides on the namespace, and says which one it took, when none was given. The release is where the Services are that its
// webhook configurations name; where these may not be listed, or there are none, it is taken to be in the context's namespace.
func (o *target) settle(ctx context.Context, found kube.Target, raw *kube.Raw, stderr io.Writer) error {
	if o.namespace != "" {
		return nil
	}
	o.namespace = cmp.Or(found.Namespace, metav1.NamespaceDefault)
	why := "the context's"
	if found.InPod {
		why = "the pod's"
	}
	served := map[string]bool{}
	for _, r := range resource.WebhookConfigurations {
		var all configurations
		err := raw.Get(ctx, r.Path("", ""), url.Values{"labelSelector": {o.selector()}}, &all)
		if err != nil && !apierrors.IsForbidden(err) {
			return fmt.Errorf("finding its namespace: %w", err)
		}
		for _, c := range all.Items {
			for _, w := range c.Webhooks {
				if w.ClientConfig.Service != nil {
					served[w.ClientConfig.Service.Namespace] = true
				}
			}
		}
	}
	if !served[o.namespace] && served[usualNamespace] {
		why = "for it is not in " + o.namespace + ", " + why
		o.namespace = usualNamespace
	}
	_, err := fmt.Fprintf(stderr, "kthena-certgen: release %s in namespace %s, %s (--namespace is not set)\n", o.release, o.namespace, why)
	return err
}

// explain says of an error that ended a run what was done to the release, and what to do about it where the API server has not answered.
func (o *target) explain(ctx context.Context, doing, host string, err error) error {
	doing += " " + o.release
	var unanswered *url.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w; the last request: %w", doing, context.Cause(ctx), err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: the API server %s does not accept the credentials of the kubeconfig, renew them: %w", doing, host, err)
	case errors.As(err, &unanswered):
		return fmt.Errorf("%s: the API server %s cannot be reached, check the kubeconfig and whether it runs: %w", doing, host, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// selector finds what belongs to the release, in whichever namespace it is.
func (o *target) selector() string {
	return "app.kubernetes.io/part-of=kthena,app.kubernetes.io/instance=" + o.release
}

// webhookConfigurations are those of the release. There is at least one, or an error.
func (o *target) webhookConfigurations(ctx context.Context, client *kube.Client) ([]kube.WebhookConfiguration, error) {
	// The chart's labels say of which release, but webhook configurations are in no namespace: the Services that they call are.
	all, err := client.WebhookConfigurations(ctx, o.selector())
	if err != nil {
		return nil, err
	}
	var found []kube.WebhookConfiguration
	for _, c := range all {
		if c.Serves(o.namespace) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf(
			"finding the webhook configurations of release %s/%s: there are none; check --namespace and --release", o.namespace, o.release,
		)
	}
	return found, nil
}

// onRelease are the program's version and the flags of a command that works on the webhook configurations of a release.
type onRelease struct {
	version string
	target
	connection
}

func (o *onRelease) addAccessFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.timeout, "timeout", 2*time.Minute, "limit for the whole run")
	addAccessFlags(fs, &o.target.access)
	o.addLogFlag(fs)
}

// work is what such a command does. It writes its result to stdout.
type work func(ctx context.Context, client *kube.Client, log *slog.Logger, stdout io.Writer) error

// run checks the flags, connects, and does the work within the limit of time.
func (o *onRelease) run(cmd *cobra.Command, do work) error {
	if err := cmp.Or(o.target.validate(), o.connection.validate()); err != nil {
		return err
	}
	found, err := kube.Config(o.target.access)
	if err != nil {
		return err
	}
	found.UserAgent = "kthena-certgen/" + o.version
	log := o.logger(cmd.ErrOrStderr())
	client, err := kube.New(found.Config, log)
	if err != nil {
		return err
	}
	raw, err := kube.NewRaw(found.Config, time.Now)
	if err != nil {
		return err
	}
	ctx, cancel := o.limit(cmd.Context())
	defer cancel()
	if err := o.settle(ctx, found, raw, cmd.ErrOrStderr()); err != nil {
		return runError{o.explain(ctx, "finding release", found.Host, err)}
	}
	if err := do(ctx, client, log, cmd.OutOrStdout()); err != nil {
		return runError{err}
	}
	return nil
}
