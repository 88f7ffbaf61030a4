package controller

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// retirement is CAs that leave the trust of one certificate.
type retirement struct {
	certificate *certificate
	// cas leave the Secret's set. Without any, those that have left it leave the webhook configurations.
	cas gen.CASet
}

// retire decides which CAs are trusted no longer: those that a Secret of ours holds besides what signed its certificate, once
// every ready pod has served that for a while.
func retire(cfg *Config, o *observation, m *memory, d *decision, now time.Time) {
	if cfg.Mode != verify.Auto || cfg.RetireAfter.Duration == 0 {
		return
	}
	for i := range o.certificates {
		c := &o.certificates[i]
		if !c.ours || !c.stored.OK() {
			continue
		}
		if c.holdsRetired(now) {
			d.retired = append(d.retired, retirement{certificate: c})
		}
		_, others := c.signers(now)
		since, uniform := m.uniformSince[c.Secret]
		if len(others) == 0 || !uniform {
			continue
		}
		if due := since.since.Add(cfg.RetireAfter.Duration); now.Before(due) {
			d.lookAgain(due.Sub(now))
			continue
		}
		d.retired = append(d.retired, retirement{c, others})
	}
}

// holdsRetired reports whether an entry still trusts a CA that has left the Secret's set, and no pod serves a certificate
// that needs it.
func (c *certificate) holdsRetired(now time.Time) bool {
	for _, e := range c.entries {
		for _, ca := range e.cas {
			if c.retired[gen.Fingerprint(ca)] && !c.stored.CAs.Contains(ca) && !c.served(ca, now) {
				return true
			}
		}
	}
	return false
}

// served reports whether a pod serves a certificate of that CA, or what it serves is not known.
func (c *certificate) served(ca *x509.Certificate, now time.Time) bool {
	for _, p := range c.pods {
		if p.err != nil || verify.OutcomeOf(p.chain, []*x509.Certificate{ca}, "", now).Code == "" {
			return true
		}
	}
	return false
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

// retiredMessage says that n CAs are trusted no longer.
func retiredMessage(n int) string {
	if n == 1 {
		return "the CA of an older certificate is no longer trusted: every pod serves the certificate of the current one"
	}
	return fmt.Sprintf("%d CAs of older certificates are no longer trusted: every pod serves the certificate of the current one", n)
}
