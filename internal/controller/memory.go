package controller

import (
	"time"
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
		if c.stored.Leaf == nil || !c.uniform() || o.deployment == nil || o.deployment.unsettled() != "" ||
			len(c.pods) != int(o.deployment.replicas()) {
			continue
		}
		u := uniformity{c.fingerprint(), now}
		if before := was[c.Secret]; before.leaf == u.leaf {
			u = before
		}
		m.uniformSince[c.Secret] = u
	}
}
