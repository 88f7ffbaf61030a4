// Package controller keeps the promise of this project between the starts of pods: it is verify that acts on what it finds. It
// heals what auto mode keeps, renews it in time, rolls the pods to certificates that their Secrets hold and that everybody
// trusts already, and retires the CAs that nothing needs any more.
//
// It is out of the path: when it is down, nothing that works stops working. Everything it decides on is in the cluster, so it may
// be killed at any moment, and several may run at once: each write is guarded by the resourceVersion that it was decided on, and
// the same state leads every controller to the same write.
//
// For each component two loops run. One heals, in auto mode: it looks at the Secret and the webhook configurations alone, so
// that nothing holds it up. The other looks at what the pods serve, which takes as long as a pod takes to answer. Both are
// level-triggered: a change wakes them, and they look at everything anew.
package controller

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

const (
	// maxWait is the longest time between two looks at a component of which no change was heard.
	maxWait = 10 * time.Minute
	// What changes in a burst is looked at once.
	pause = 100 * time.Millisecond
	// Who heals what is broken again and again pauses longer each time, up to this: less than half of what a heal may take.
	maxPause = 800 * time.Millisecond
	// patientHeals is how many heals in a row are made without a longer pause.
	patientHeals = 5
	// minRetry and maxRetry bound the pause after an error, which doubles.
	minRetry, maxRetry = 500 * time.Millisecond, 30 * time.Second
)

// API is what the controller needs of the API server besides what bootstrap does; kube.Raw has it.
type API interface {
	Watcher
	MergePatch(ctx context.Context, path string, patch any, fieldManager string, o any) error
}

// Options is what a controller works with.
type Options struct {
	Config  *Config
	API     API
	Client  *kube.Client
	Dialer  verify.Dialer
	Version string
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
}

// Controller keeps the components of a release in order.
type Controller struct {
	Options

	metrics    *metrics
	tell       *teller
	slices     *mirror[slice]
	components []*component
	// rolls is held while a roll is decided and made, so that there is one at a time.
	rolls sync.Mutex
}

// slice is an EndpointSlice.
type slice struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	verify.EndpointSlice
}

// component is a Component, with what is known of it.
type component struct {
	Component
	deployment   *mirror[deployment]
	certificates []watched

	healing, serving *loop
	// healedAt is when CAs were put back last. It belongs to the loop healing.
	healedAt time.Time
	// What follows belongs to the loop serving.
	memory  memory
	refused map[verify.Code]bool
}

// watched is a Certificate, with what is known of it.
type watched struct {
	Certificate
	secret         *mirror[core.Secret] // auto mode's
	configurations []watchedConfiguration
}

type watchedConfiguration struct {
	kind, name string
	*mirror[configuration]
}

// read is what the webhook configurations are.
func (w *watched) read() ([]configured, error) {
	var all []configured
	for _, c := range w.configurations {
		o, err := c.get(c.name)
		if err != nil {
			return nil, err
		}
		all = append(all, configured{c.kind, c.name, o})
	}
	return all, nil
}

// certificate is the one of a Secret.
func (r *component) certificate(secret string) *watched {
	for i := range r.certificates {
		if r.certificates[i].Secret == secret {
			return &r.certificates[i]
		}
	}
	return nil
}

// New makes a controller. Run runs it.
func New(c Options) *Controller {
	k := &Controller{
		Options: c,
		metrics: newMetrics(c.Version, c.Config.Components),
		tell:    newTeller(c.Config.Namespace, c.Client.Events(c.Config.Namespace), c.Log, c.Now),
	}
	var services []string
	for _, of := range c.Config.Components {
		r := &component{Component: of, healing: newLoop(), serving: newLoop()}
		wake := func() { r.healing.wake(); r.serving.wake() }
		r.deployment = newMirror[deployment](resource.Deployments.Path(c.Config.Namespace, ""), named(of.Deployment), k.wakeServing, c.Log)
		for _, cert := range of.Certificates {
			services = append(services, cert.Service)
			w := watched{Certificate: cert}
			if c.Config.Mode == verify.Auto {
				w.secret = newMirror[core.Secret](resource.Secrets.Path(c.Config.Namespace, ""), named(cert.Secret), wake, c.Log)
			}
			for of, names := range map[resource.Resource][]string{
				resource.MutatingWebhookConfigurations: cert.Mutating, resource.ValidatingWebhookConfigurations: cert.Validating,
			} {
				for _, name := range names {
					m := newMirror[configuration](of.Path("", ""), named(name), wake, c.Log)
					w.configurations = append(w.configurations, watchedConfiguration{of.Kind, name, m})
				}
			}
			r.certificates = append(r.certificates, w)
		}
		k.components = append(k.components, r)
	}
	query := url.Values{"labelSelector": {"kubernetes.io/service-name in (" + strings.Join(services, ",") + ")"}}
	k.slices = newMirror[slice](resource.EndpointSlices.Path(c.Config.Namespace, ""), query, k.wakeServing, c.Log)
	return k
}

// wakeServing wakes the loops of all components that look at pods: what changes one may be what another waits for.
func (c *Controller) wakeServing() {
	for _, r := range c.components {
		r.serving.wake()
	}
}

// Run runs until ctx ends.
func (c *Controller) Run(ctx context.Context) {
	var all sync.WaitGroup
	follow := func(run func(context.Context, Watcher)) { all.Go(func() { run(ctx, c.API) }) }
	follow(c.slices.run)
	for _, r := range c.components {
		follow(r.deployment.run)
		for i := range r.certificates {
			w := &r.certificates[i]
			if w.secret != nil {
				follow(w.secret.run)
			} else {
				all.Go(func() { watchFiles(ctx, w.Dir, r.serving.wake) })
			}
			for _, configuration := range w.configurations {
				follow(configuration.run)
			}
		}
		if c.Config.Mode == verify.Auto {
			all.Go(func() { c.loop(ctx, r, r.healing, "heal", r.unread, c.heal) })
		}
		all.Go(func() { c.loop(ctx, r, r.serving, "serve", func() error { return c.unread(r) }, c.serve) })
	}
	all.Wait()
	c.tell.recording.Wait()
}

// loop runs do whenever it is woken, and when do has asked for it, but not before all that it needs has been read: unread says
// what has not been. What is read must wake the loop.
func (c *Controller) loop(ctx context.Context, r *component, l *loop, what string, unread func() error,
	do func(context.Context, *component) (time.Duration, error),
) {
	retry := minRetry
	failure := ""
	for ctx.Err() == nil {
		if err := unread(); err != nil {
			// Nothing is known yet; what is read wakes the loop.
			l.set(err)
			l.wait(ctx, maxWait)
			continue
		}
		again, err := do(ctx, r)
		if ctx.Err() != nil {
			return
		}
		l.set(err)
		switch {
		case err == nil:
			if failure != "" {
				c.Log.Info("reconciling again", "component", r.Deployment, "what", what)
			}
			retry, failure = minRetry, ""
		default:
			c.metrics.errors.add(1, r.Deployment)
			if err.Error() != failure {
				failure = err.Error()
				c.Log.Error("reconciling", "component", r.Deployment, "what", what, "error", err)
			}
			again = retry + rand.N(retry)
			retry = min(2*retry, maxRetry)
		}
		l.wait(ctx, again)
	}
}

// unread says which of the objects have not been read yet that serve looks at.
func (c *Controller) unread(r *component) error {
	if _, err := c.slices.all(); err != nil {
		return err
	}
	if _, err := r.deployment.get(r.Deployment); err != nil {
		return err
	}
	return r.unread()
}

// unread says which of the objects have not been read yet that heal looks at.
func (r *component) unread() error {
	for i := range r.certificates {
		w := &r.certificates[i]
		if w.secret != nil {
			if _, err := w.secret.get(w.Secret); err != nil {
				return err
			}
		}
		if _, err := w.read(); err != nil {
			return err
		}
	}
	return nil
}

// Ready says why the controller does not keep everything in order, nil when it does.
func (c *Controller) Ready() error {
	if err := c.slices.state(); err != nil {
		return fmt.Errorf("following EndpointSlices: %w", err)
	}
	for _, r := range c.components {
		if err := r.ready(c.Config.Mode == verify.Auto); err != nil {
			return fmt.Errorf("component %s: %w", r.Deployment, err)
		}
	}
	return nil
}

func (r *component) ready(heals bool) error {
	if err := r.deployment.state(); err != nil {
		return fmt.Errorf("following the Deployment: %w", err)
	}
	for i := range r.certificates {
		w := &r.certificates[i]
		if w.secret != nil {
			if err := w.secret.state(); err != nil {
				return fmt.Errorf("following Secret %s: %w", w.Secret, err)
			}
		}
		for _, configuration := range w.configurations {
			if err := configuration.state(); err != nil {
				return fmt.Errorf("following %s %s: %w", configuration.kind, configuration.name, err)
			}
		}
	}
	if err := r.healing.err(); heals && err != nil {
		return err
	}
	return r.serving.err()
}
