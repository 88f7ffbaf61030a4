package controller

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
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
		if p.err != nil || verify.VerifyChain(p.chain, []*x509.Certificate{ca}, "", now).Code == "" {
			return true
		}
	}
	return false
}

// retiredMessage says that n CAs are trusted no longer.
func retiredMessage(n int) string {
	if n == 1 {
		return "the CA of an older certificate is no longer trusted: every pod serves the certificate of the current one"
	}
	return fmt.Sprintf("%d CAs of older certificates are no longer trusted: every pod serves the certificate of the current one", n)
}
