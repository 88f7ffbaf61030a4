package controller

import (
	"crypto/x509"
	"strings"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// observation is all that is known of a component at one moment.
type observation struct {
	// component is the name of the Deployment, which is nil when there is none.
	component  string
	deployment *deployment
	// busy is another Deployment that is being rolled, empty when there is none.
	busy         string
	certificates []certificate
}

// certificate is what is known of one certificate of a component.
type certificate struct {
	Certificate
	// name is what it is called by, empty for the router's, which is called by any of its names.
	name string
	// uid is that of the Secret, for Events; empty where the Secret is not read.
	uid string
	// exists is whether there is a Secret with something in it, terminating whether it is being deleted and finalizers hold it.
	exists, terminating bool
	// ours is whether auto mode may renew it.
	ours bool
	// stored is what gen.Check says of the Secret.
	stored  gen.Validation
	retired map[string]bool
	entries []entry
	pods    []pod
}

// entry is one entry of a webhook configuration.
type entry struct {
	configuration, name string
	cas                 gen.CASet
	// gone is whether the configuration does not exist, missing whether it has no entry for the Service.
	gone, missing bool
}

// pod is what one ready endpoint serves.
type pod struct {
	endpoint verify.Endpoint
	chain    []*x509.Certificate
	err      error
}

// fingerprint is that of the Secret's certificate.
func (c *certificate) fingerprint() string { return gen.Fingerprint(c.stored.Leaf) }

// usable says why pods must not be rolled to the Secret's certificate, empty when they may be.
func (c *certificate) usable(mode string, now time.Time) (code verify.Code, why string) {
	switch {
	case !c.exists:
		return verify.SecretMissing, "it does not exist"
	case c.terminating:
		return verify.SecretTerminating, "it is being deleted, and its finalizers hold it: a pod that starts waits for it to go"
	case !c.stored.OK():
		return verify.SecretInvalid, "its certificate cannot be used: " + c.stored.Faults[0].String()
	case mode == verify.Auto && !c.ours:
		return verify.SecretForeign, "kthena-certgen did not make it, and does not renew it"
	}
	for _, e := range c.entries {
		if e.gone {
			return verify.BundleMissing, "webhook configuration " + e.configuration + " does not exist"
		}
		if e.missing {
			return verify.BundleMissing, "webhook configuration " + e.configuration + " has no entry for Service " + c.Service
		}
		if len(e.cas) == 0 {
			return verify.BundleMissing, "webhook " + e.name + " of " + e.configuration + " has no CA bundle"
		}
		if o := verify.OutcomeOf(c.stored.Chain, e.cas, c.name, now); o.Code != "" {
			return verify.SecretUntrusted, "its certificate " + short(c.stored.Leaf) + " " + o.Detail + " by webhook " + e.name + " of " +
				e.configuration
		}
	}
	return "", ""
}

// stale are the pods that serve another certificate than the Secret holds.
func (c *certificate) stale() (stale []pod) {
	if c.stored.Leaf == nil {
		return nil
	}
	for _, p := range c.pods {
		if p.err == nil && !p.chain[0].Equal(c.stored.Leaf) {
			stale = append(stale, p)
		}
	}
	return stale
}

// newerServed reports whether a pod serves a certificate that was made after the Secret's.
func (o *observation) newerServed() bool {
	for i := range o.certificates {
		c := &o.certificates[i]
		for _, p := range c.stale() {
			if p.chain[0].NotBefore.After(c.stored.Leaf.NotBefore) {
				return true
			}
		}
	}
	return false
}

// uniform reports whether every ready pod serves the Secret's certificate, as far as can be seen, and there is one.
func (c *certificate) uniform() bool {
	for _, p := range c.pods {
		if p.err != nil || !p.chain[0].Equal(c.stored.Leaf) {
			return false
		}
	}
	return len(c.pods) > 0
}

// signers are the CAs of the Secret's set that its certificate leads to.
func (c *certificate) signers(now time.Time) (signers, others gen.CASet) {
	for _, ca := range c.stored.CAs {
		if verify.OutcomeOf(c.stored.Chain, []*x509.Certificate{ca}, "", now).Code == "" {
			signers = append(signers, ca)
		} else {
			others = append(others, ca)
		}
	}
	return signers, others
}

// target is the value of the annotation for the certificates of all Secrets of the component.
func (o *observation) target() string {
	var all []string
	for _, c := range o.certificates {
		all = append(all, c.fingerprint())
	}
	return strings.Join(all, ",")
}

// short is the beginning of a fingerprint, enough to tell certificates apart.
func short(c *x509.Certificate) string { return gen.Fingerprint(c)[:len("sha256:")+12] }

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
