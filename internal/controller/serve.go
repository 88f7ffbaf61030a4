package controller

import (
	"context"
	"errors"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
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
