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
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// maxWait is the longest time between two looks at a component of which no change was heard.
const maxWait = 10 * time.Minute

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
