package controller

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

const (
	// dialTimeout is how long a pod may take to show its certificate.
	dialTimeout = 5 * time.Second
	// dialsAtOnce is how many pods are asked at the same time.
	dialsAtOnce = 8
)

// serve compares what the pods of a component serve with what its Secrets hold and what is trusted, and acts on it. It returns
// when to do so again at the latest.
func (c *Controller) serve(ctx context.Context, r *component) (again time.Duration, err error) {
	o, err := c.observe(ctx, r)
	if err != nil {
		return maxWait, err
	}
	c.rolls.Lock()
	o.busy = c.busy(r)
	d := decide(c.Config, o, &r.memory, c.Now())
	if d.roll != "" {
		err = c.roll(ctx, r, o, d)
	}
	c.rolls.Unlock()
	for _, retired := range d.retired {
		err = errors.Join(err, c.retire(ctx, r, retired))
	}
	c.countRefusals(r, d)
	c.metrics.observe(r.Deployment, seen{c.Now(), o.certificates, d.findings})
	again = c.tell.findings(ctx, r.Deployment, d.findings, o.uid)
	for _, other := range []time.Duration{d.again, maxWait} {
		if other != 0 && (again == 0 || other < again) {
			again = other
		}
	}
	return again, err
}

// uid is that of a Secret.
func (o *observation) uid(secret string) string {
	for _, c := range o.certificates {
		if c.Secret == secret {
			return c.uid
		}
	}
	return ""
}

// countRefusals counts the codes for which a roll is refused since now.
func (c *Controller) countRefusals(r *component, d decision) {
	now := map[verify.Code]bool{}
	for _, code := range d.refused {
		if now[code] = true; !r.refused[code] {
			c.metrics.refusals.add(1, r.Deployment, string(code))
		}
	}
	r.refused = now
}

// busy names another Deployment that is being rolled to a certificate, empty when there is none.
func (c *Controller) busy(r *component) string {
	for _, other := range c.components {
		if other == r {
			continue
		}
		if d, err := other.deployment.get(other.Deployment); err == nil && d != nil && d.rolling() {
			return other.Deployment
		}
	}
	return ""
}

// roll makes the Deployment replace its pods, by the one annotation that it may change. That it was not changed since it was
// looked at is seen by the API server.
func (c *Controller) roll(ctx context.Context, r *component, o *observation, d decision) error {
	path := "/apis/apps/v1/namespaces/" + c.Config.Namespace + "/deployments/" + r.Deployment
	patch := map[string]any{
		"metadata": map[string]any{"resourceVersion": o.deployment.Metadata.ResourceVersion},
		"spec":     map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotationCertificate: d.roll}}}},
	}
	var rolled deployment
	err := c.API.MergePatch(ctx, path, patch, fieldManager, &rolled)
	if apierrors.IsConflict(err) {
		// Somebody else was faster; the watch brings what they did.
		return nil
	}
	if err != nil {
		return fmt.Errorf("rolling Deployment %s/%s: %w", c.Config.Namespace, r.Deployment, err)
	}
	r.deployment.put(r.Deployment, &rolled)
	c.metrics.rolls.add(1, r.Deployment)
	c.Log.Info("rolling", "deployment", c.Config.Namespace+"/"+r.Deployment, "to", d.roll, "reason", d.why)
	about := reference("apps/v1", "Deployment", c.Config.Namespace, r.Deployment, rolled.Metadata.UID)
	c.tell.event(ctx, about, core.EventTypeNormal, "Rolled", d.why)
	return nil
}

// retire takes CAs out of the Secret's set and then out of the webhook configurations. Interrupted in between, the next one
// finds in the Secret which they are.
func (c *Controller) retire(ctx context.Context, r *component, due retirement) error {
	cert := r.certificate(due.certificate.Secret)
	stored, err := cert.secret.get(cert.Secret)
	if err != nil || stored == nil {
		return err
	}
	set := due.certificate.stored.CAs
	retired := due.certificate.retired
	if len(due.cas) > 0 {
		err := c.store(r.Component, cert.Certificate).Retire(ctx, stored, cert.DNSNames, due.cas)
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil // somebody has changed it, and the watch brings what they did
		}
		if err != nil {
			return err
		}
		c.metrics.retired.add(float64(len(due.cas)), r.Deployment)
		c.Log.Info("retiring CAs", "secret", c.Config.Namespace+"/"+cert.Secret, "number", len(due.cas))
		c.tell.event(ctx, c.tell.secret(cert.Secret, string(stored.UID)), core.EventTypeNormal, "Retired", retiredMessage(len(due.cas)))
		set, _ = due.certificate.signers(c.Now())
		for _, ca := range due.cas {
			retired[gen.Fingerprint(ca)] = true
		}
	}
	configurations, err := cert.read()
	if err != nil {
		return err
	}
	for _, of := range configurations {
		if !of.auto() {
			continue
		}
		_, err := c.configuration(of).Retire(ctx, set, func(ca *x509.Certificate) bool {
			return retired[gen.Fingerprint(ca)] && !due.certificate.served(ca, c.Now())
		})
		if err != nil && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

// observe brings together what is known of a component, and asks its ready pods what they serve.
func (c *Controller) observe(ctx context.Context, r *component) (*observation, error) {
	d, err := r.deployment.get(r.Deployment)
	if err != nil {
		return nil, err
	}
	o := &observation{component: r.Deployment, deployment: d}
	for i := range r.certificates {
		seen, err := c.observeCertificate(&r.certificates[i])
		if err != nil {
			return nil, err
		}
		if seen.pods, err = c.ask(ctx, seen.Certificate); err != nil {
			return nil, err
		}
		o.certificates = append(o.certificates, seen)
	}
	return o, ctx.Err()
}

func (c *Controller) observeCertificate(w *watched) (certificate, error) {
	cert := certificate{Certificate: w.Certificate, retired: map[string]bool{}}
	configurations, err := w.read()
	if err != nil {
		return cert, err
	}
	for _, of := range configurations {
		cert.entries = append(cert.entries, of.entries(w.Service, c.Config.Namespace)...)
	}
	if len(configurations) > 0 {
		cert.name = c.Config.serviceName(w.Certificate)
	}
	if c.Config.Mode != verify.Auto {
		return cert, c.readMounted(&cert)
	}
	stored, err := w.secret.get(w.Secret)
	if err != nil || stored == nil {
		return cert, err
	}
	inspected := secret.Inspect(stored, c.want(w.Certificate), c.Now())
	cert.exists, cert.uid, cert.ours, cert.stored = true, string(stored.UID), inspected.Ours, inspected.Validation
	cert.terminating = stored.DeletionTimestamp != nil && len(stored.Finalizers) > 0
	for _, fingerprint := range secret.Retired(stored) {
		cert.retired[fingerprint] = true
	}
	return cert, nil
}

// readMounted reads the certificate where it is not the API that tells it.
func (c *Controller) readMounted(cert *certificate) (err error) {
	b, exists, err := readFiles(cert.Dir)
	if err != nil || !exists {
		return err
	}
	if len(b.CA) == 0 {
		// Manual mode asks for the certificate and the key alone, and the router's may be of a CA that everybody knows; whether a
		// webhook's is trusted is for the entries to say.
		b.CA = b.Cert
	}
	cert.exists, cert.stored = true, gen.CheckPublic(b.Cert, b.CA, cert.names(), c.Now())
	return nil
}

// names are those that the certificate must be for: what it is called by, where that is known.
func (c *certificate) names() []string {
	if c.name != "" {
		return []string{c.name}
	}
	return c.DNSNames
}

// entries are those of the configuration that call the Service.
func (c configured) entries(service, namespace string) (found []entry) {
	if c.object != nil {
		for _, w := range c.object.Webhooks {
			if s := w.ClientConfig.Service; s != nil && s.Name == service && s.Namespace == namespace {
				cas, _ := gen.ParseCertificates(w.ClientConfig.CABundle)
				found = append(found, entry{configuration: c.name, name: w.Name, cas: cas})
			}
		}
	}
	if len(found) == 0 {
		return []entry{{configuration: c.name, gone: c.object == nil, missing: true}}
	}
	return found
}

// ask asks every ready pod behind the Service for the certificate that it serves.
func (c *Controller) ask(ctx context.Context, cert Certificate) ([]pod, error) {
	all, err := c.slices.all()
	if err != nil {
		return nil, err
	}
	var ofService []verify.EndpointSlice
	for _, s := range all {
		if s.Metadata.Labels["kubernetes.io/service-name"] == cert.Service {
			ofService = append(ofService, s.EndpointSlice)
		}
	}
	endpoints := verify.ReadyEndpoints(ofService, cert.Port)
	pods := make([]pod, len(endpoints))
	var group errgroup.Group
	group.SetLimit(dialsAtOnce)
	for i, e := range endpoints {
		group.Go(func() error {
			ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, fmt.Errorf("no answer within %s", dialTimeout))
			defer cancel()
			chain, err := verify.Show(ctx, c.Config.serviceName(cert), func(ctx context.Context) (net.Conn, error) {
				return c.Dialer.DialEndpoint(ctx, c.Config.Namespace, e)
			})
			pods[i] = pod{e, chain, err}
			return nil
		})
	}
	return pods, group.Wait()
}
