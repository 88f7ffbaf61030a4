package controller

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

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
				if verify.OutcomeOf(p.chain, e.cas, c.name, now).Code != "" {
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
	patch := map[string]any{
		"metadata": map[string]any{"resourceVersion": o.deployment.Metadata.ResourceVersion},
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
			"annotations": map[string]string{annotationCertificate: d.roll},
		}}},
	}
	var rolled deployment
	err := c.API.MergePatch(ctx, resource.Deployments.Path(c.Config.Namespace, r.Deployment), patch, fieldManager, &rolled)
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
	about := reference(resource.Deployments, c.Config.Namespace, r.Deployment, rolled.Metadata.UID)
	c.tell.event(ctx, about, core.EventTypeNormal, "Rolled", d.why)
	return nil
}
