package controller

import (
	"context"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// dialsAtOnce is how many pods are asked at the same time.
const dialsAtOnce = 8

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
			chain, err := verify.Show(ctx, c.Config.serviceName(cert), func(ctx context.Context) (net.Conn, error) {
				return c.Dialer.DialEndpoint(ctx, c.Config.Namespace, e)
			})
			pods[i] = pod{e, chain, err}
			return nil
		})
	}
	return pods, group.Wait()
}
