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
		d.find(
			&o.certificates[0], verify.DeploymentMissing, patience, "Deployment %s/%s does not exist, so nothing is rolled: run helm upgrade",
			cfg.Namespace, o.component,
		)
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
			if out := verify.OutcomeOf(p.chain, e.cas, c.name, now); out.Code != "" {
				d.find(
					c, out.Code, patience, "Pod %s/%s: the certificate %s that it serves %s, says webhook %s of %s", cfg.Namespace, p.endpoint.Pod,
					short(p.chain[0]), out.Detail, e.name, e.configuration,
				)
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
