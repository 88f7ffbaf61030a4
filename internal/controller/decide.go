package controller

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// Who tells of findings waits a moment, and longer for what heals by itself, so that not every moment of a change is told.
const (
	patience     = 3 * time.Second
	longPatience = time.Minute
	// rollPatience is after how long it is told that a roll waits for another one to end.
	rollPatience = 2 * time.Minute
	// projection is how long the kubelet takes at most to bring a changed Secret into a volume of a pod that runs: it looks at a pod
	// every 60 to 90 s. 94 s have been seen.
	projection = 2 * time.Minute
)

// memory is what a component's state was before, as far as it decides. It is lost with the process: what has to last for a
// while then begins anew.
type memory struct {
	// target is what every entry trusts, since then.
	target       string
	trustedSince time.Time
	// newerSince is since when a pod has served a newer certificate than is mounted here, zero when none does.
	newerSince time.Time
	// uniformSince is since when every ready pod has served the certificate of each Secret.
	uniformSince map[string]uniformity
}

type uniformity struct {
	leaf  string
	since time.Time
}

// finding is one thing that is wrong or worth knowing.
type finding struct {
	code    verify.Code
	service string
	secret  string
	message string
	// after is how long it must last before it is told.
	after time.Duration
}

// decision is what to do about a component.
type decision struct {
	findings []finding
	// refused are the codes for which a roll that is due is refused.
	refused []verify.Code
	// roll is the value of the annotation that rolls the pods, empty when they are not to be rolled now.
	roll string
	// why is the reason of roll, for people.
	why     string
	retired []retirement
	// again is when something is due that no change announces, 0 when nothing is.
	again time.Duration
}

func (d *decision) find(c *certificate, code verify.Code, after time.Duration, format string, args ...any) {
	d.findings = append(d.findings, finding{code, c.Service, c.Secret, fmt.Sprintf(format, args...), after})
}

func (d *decision) lookAgain(in time.Duration) {
	if in = max(in, 0) + 10*time.Millisecond; d.again == 0 || in < d.again {
		d.again = in
	}
}

// decide looks at what is known of a component. It changes nothing but m.
func decide(cfg *Config, o *observation, m *memory, now time.Time) decision {
	var d decision
	if o.deployment == nil {
		d.find(&o.certificates[0], verify.DeploymentMissing, patience, "Deployment %s/%s does not exist, so nothing is rolled: run helm upgrade", cfg.Namespace, o.component)
	}
	usable, stale := true, 0
	for i := range o.certificates {
		c := &o.certificates[i]
		if code, why := c.usable(cfg.Mode, now); code != "" {
			usable = false
			d.refused = append(d.refused, code)
			after := patience
			if code == verify.SecretMissing && cfg.mounts() {
				after = projection // that it is there is seen so late
			}
			if len(c.stale()) > 0 {
				why += ": pods are not rolled to it"
			}
			d.find(c, code, after, "Secret %s/%s: %s", cfg.Namespace, c.Secret, why)
		}
		stale += len(c.stale())
		judgePods(cfg, c, o, &d, now)
		judgeLife(cfg, c, &d, now)
	}
	m.note(cfg, o, usable, now)
	if stale == 0 || !usable {
		if stale == 0 {
			d.refused = nil // nothing is due
		}
		retire(cfg, o, m, &d, now)
		return d
	}
	roll(cfg, o, m, &d, stale, now)
	retire(cfg, o, m, &d, now)
	return d
}

// note brings the memory up to date.
func (m *memory) note(cfg *Config, o *observation, usable bool, now time.Time) {
	if !cfg.mounts() || !o.newerServed() {
		m.newerSince = time.Time{}
	} else if m.newerSince.IsZero() {
		m.newerSince = now
	}
	target := ""
	if usable {
		target = o.target()
	}
	if target != m.target {
		m.target, m.trustedSince = target, now
	}
	was := m.uniformSince
	m.uniformSince = map[string]uniformity{}
	for _, c := range o.certificates {
		if c.stored.Leaf == nil || !c.uniform() || o.deployment == nil || o.deployment.unsettled() != "" || len(c.pods) != int(o.deployment.replicas()) {
			continue
		}
		u := uniformity{c.fingerprint(), now}
		if before := was[c.Secret]; before.leaf == u.leaf {
			u = before
		}
		m.uniformSince[c.Secret] = u
	}
}

// roll decides whether the pods are rolled to what the Secrets hold, now that it can be used and some of them serve something
// else.
func roll(cfg *Config, o *observation, m *memory, d *decision, stale int, now time.Time) {
	target := o.target()
	first := firstStale(o)
	tell := func(after time.Duration, why string) {
		d.find(first, verify.Stale, after, "Deployment %s/%s: %d of its pods serve another certificate than Secret %s holds (%s): %s",
			cfg.Namespace, o.component, stale, first.Secret, short(first.stored.Leaf), why)
	}
	settled := m.trustedSince.Add(cfg.Settle.Duration)
	if mistrusted(o, now) {
		// To wait would prolong what fails now; a pod takes longer to start than an API server's cache to learn.
		settled = m.trustedSince
	}
	// Pods that started since a renewal have got it, and the controller's own volume may not have it yet.
	late := m.newerSince.Add(projection)
	switch {
	case o.deployment == nil: // found already
	case !m.newerSince.IsZero() && now.Before(late):
		d.lookAgain(late.Sub(now))
	case o.deployment.rolledTo() == target:
		// It was rolled for this; at most once for each certificate.
		if o.deployment.unsettled() == "" {
			tell(longPatience, "it was rolled to it already, and they came up with older files: restart it by kubectl rollout restart")
		}
	case !cfg.Roll:
		tell(patience, "it would be rolled, which the configuration forbids: restart it by kubectl rollout restart")
	case o.deployment.Spec.Paused:
		tell(longPatience, "it is paused, so it is not rolled: resume it by kubectl rollout resume")
	case o.deployment.unsettled() != "":
		tell(rollPatience, o.deployment.unsettled()+", so it is not rolled yet")
	case o.busy != "":
		// Only one Deployment is rolled at a time. The other one's changes wake this component, too.
		tell(rollPatience, "it is not rolled before the roll of Deployment "+o.busy+" has ended: see kubectl rollout status")
	case now.Before(settled):
		d.lookAgain(settled.Sub(now))
	default:
		d.roll = target
		d.why = fmt.Sprintf("%d of its pods served another certificate than Secret %s holds (%s), which every webhook entry has trusted for %s",
			stale, first.Secret, short(first.stored.Leaf), now.Sub(m.trustedSince).Round(time.Second))
	}
}

// mistrusted reports whether an entry does not trust what a pod serves.
func mistrusted(o *observation, now time.Time) bool {
	for _, c := range o.certificates {
		for _, p := range c.stale() {
			for _, e := range c.entries {
				if verify.VerifyChain(p.chain, e.cas, c.name, now).Code != "" {
					return true
				}
			}
		}
	}
	return false
}

// firstStale is the first certificate that a pod does not serve.
func firstStale(o *observation) *certificate {
	for i := range o.certificates {
		if len(o.certificates[i].stale()) > 0 {
			return &o.certificates[i]
		}
	}
	return nil
}

// judgePods looks at what the pods serve by itself.
func judgePods(cfg *Config, c *certificate, o *observation, d *decision, now time.Time) {
	if len(c.pods) == 0 && o.deployment != nil && o.deployment.replicas() > 0 {
		d.find(c, verify.NoEndpoints, longPatience, "Service %s/%s: no pod behind it is ready", cfg.Namespace, c.Service)
	}
	var unreachable []string
	var cause error
	for _, p := range c.pods {
		if p.err != nil {
			unreachable, cause = append(unreachable, p.endpoint.Pod), p.err
			continue
		}
		for _, e := range c.entries {
			if len(e.cas) == 0 {
				continue // found already
			}
			if out := verify.VerifyChain(p.chain, e.cas, c.name, now); out.Code != "" {
				d.find(c, out.Code, patience, "Pod %s/%s: the certificate %s that it serves %s, says webhook %s of %s", cfg.Namespace, p.endpoint.Pod, short(p.chain[0]), out.Detail, e.name, e.configuration)
				break
			}
		}
	}
	if len(unreachable) > 0 {
		d.find(c, verify.EndpointUnreachable, longPatience, "Service %s/%s: what pods %s serve cannot be seen, so they are not rolled for it: %v",
			cfg.Namespace, c.Service, strings.Join(unreachable, ", "), cause)
		d.lookAgain(10 * time.Second)
	}
}

// judgeLife finds certificates that end soon and are not renewed by this controller.
func judgeLife(cfg *Config, c *certificate, d *decision, now time.Time) {
	tell := func(leaf *x509.Certificate, end time.Time, where string) {
		within := cfg.warnsWithin(leaf.NotAfter.Sub(leaf.NotBefore))
		if left := end.Sub(now); left < within {
			d.find(c, verify.ExpiresSoon, patience, "%s: the certificate %s ends on %s: %s", where, short(leaf), date(end), remedy(cfg.Mode))
		} else if left-within < maxWait {
			d.lookAgain(left - within)
		}
	}
	if c.stored.OK() && c.stored.Leaf != nil && !c.ours {
		tell(c.stored.Leaf, c.stored.NotAfter, "Secret "+cfg.Namespace+"/"+c.Secret)
	}
	for _, p := range c.stale() {
		tell(p.chain[0], p.chain[0].NotAfter, "Pod "+cfg.Namespace+"/"+p.endpoint.Pod)
	}
}

// remedy says who has to do something about a certificate that ends.
func remedy(mode string) string {
	switch mode {
	case verify.CertManager:
		return "cert-manager has not renewed it: look at the Certificate"
	case verify.Manual:
		return "replace it in the Secret"
	}
	return "restart the Deployment, and look at what the controller says of the Secret"
}
