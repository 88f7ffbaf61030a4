package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

const (
	// fieldManager is the name that the API server records changes under; the init container's, too.
	fieldManager = "kthena-certgen"
	// annotationAuto is what the chart sets on the webhook configurations of auto mode, in the same request as all that it
	// changes there. Without it they are another mode's, and a controller that is about to end leaves them alone.
	annotationAuto = "certgen.kthena.volcano.sh/webhooks"
	// passTimeout is how long one pass may take. The next one begins where it has ended.
	passTimeout = 30 * time.Second
	// calm is after which time without a heal the next one is the first.
	calm = 10 * time.Second
)

// heal makes the Secrets and webhook configurations of a component as auto mode wants them, where they are not. It returns when
// to do so again at the latest.
func (c *Controller) heal(ctx context.Context, r *component) (again time.Duration, err error) {
	again = maxWait
	var errs []error
	for i := range r.certificates {
		cert := &r.certificates[i]
		due, err := c.healCertificate(ctx, r, cert)
		errs = append(errs, err)
		again = min(again, due)
	}
	if c.Now().Sub(r.healedAt) > calm {
		r.healing.repeated = 0
	}
	return again, errors.Join(errs...)
}

func (c *Controller) healCertificate(ctx context.Context, r *component, cert *watched) (again time.Duration, err error) {
	stored, err := cert.secret.get(cert.Secret)
	if err != nil {
		return maxWait, err
	}
	configurations, err := cert.read()
	if err != nil {
		return maxWait, err
	}
	now := c.Now()
	inspected := secret.Inspect(stored, c.want(cert.Certificate), now)
	if inspected.Outcome == "" {
		// Refused. The serving side tells it, and a change of the Secret asks again.
		return maxWait, nil
	}
	reason := healReason(inspected, configurations, now)
	if reason == "" {
		if inspected.RenewAt.IsZero() {
			return maxWait, nil
		}
		return min(maxWait, inspected.RenewAt.Sub(now)+time.Millisecond), nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, passTimeout, fmt.Errorf("timed out after %s", passTimeout))
	defer cancel()
	sum, err := c.pass(r.Component, cert.Certificate, configurations).Run(ctx)
	if code := bootstrap.Refused(err); code != "" {
		// A human must act, and what they change wakes this loop. The pass has recorded an Event.
		c.metrics.refusals.add(1, r.Deployment, code)
		c.Log.Error("healing is refused", "component", r.Deployment, "error", err)
		return maxWait, nil
	}
	if err != nil {
		return maxWait, err
	}
	c.tellHealed(ctx, r, cert, stored, sum)
	// The mirrors learn of it by their watches, and ask again.
	return maxWait, nil
}

// healReason says why a pass is needed, empty when none is.
func healReason(s secret.Inspection, configurations []configured, now time.Time) string {
	if s.Outcome != secret.Reused {
		return string(s.Reason)
	}
	for _, c := range configurations {
		if !c.auto() {
			continue
		}
		for _, w := range c.object.Webhooks {
			live, _ := gen.ParseCertificates(w.ClientConfig.CABundle)
			if w.ClientConfig.Service != nil && !live.ContainsAll(s.Validation.CAs, now) {
				return reasonBundle
			}
		}
	}
	return ""
}

// reasonBundle is why CAs are put into webhook entries of which the Secret did not change.
const reasonBundle = "ca-bundle"

// tellHealed counts and tells what a pass did.
func (c *Controller) tellHealed(ctx context.Context, r *component, cert *watched, stored *core.Secret, sum bootstrap.Summary) {
	var patched []string
	for _, w := range sum.WebhookConfigurations {
		if w.Patched {
			patched = append(patched, w.Kind+" "+w.Name)
		}
	}
	if sum.Outcome != string(secret.Reused) {
		// The pass has recorded an Event about the Secret.
		c.metrics.heals.add(1, r.Deployment, sum.Reason)
		c.Log.Info(
			"secret is good again", "secret", sum.Secret, "reason", sum.Reason, "ca", sum.CAFingerprint, "patched", strings.Join(patched, ", "),
		)
		return
	}
	if len(patched) > 0 {
		// Somebody who takes it out at once again is answered a little later each time.
		r.healing.repeated, r.healedAt = min(r.healing.repeated+1, patientHeals+3), c.Now()
		c.metrics.heals.add(1, r.Deployment, reasonBundle)
		c.tell.healed(
			ctx, cert.Secret, uidOf(stored), "the CA of the Secret was missing in "+strings.Join(patched, " and ")+", and is there again",
		)
	}
}

func uidOf(s *core.Secret) string {
	if s == nil {
		return ""
	}
	return string(s.UID)
}

func (c *Controller) want(cert Certificate) secret.Want {
	return secret.Want{Spec: c.Config.spec(cert), RenewBefore: c.Config.RenewBefore.Duration}
}

func (c *Controller) store(component Component, cert Certificate) *secret.Store {
	return &secret.Store{
		Client: c.Client.Secrets(c.Config.Namespace), Namespace: c.Config.Namespace, Name: cert.Secret, Labels: component.Labels,
		Annotations: component.Annotations,
		Version:     c.Version, FieldManager: fieldManager, Now: c.Now, Log: c.Log,
	}
}

// pass is what the init container does, without files, for the configurations that there are. It is made anew each time, and
// without annotations to wait for: a configuration that lacks them is another mode's.
func (c *Controller) pass(component Component, cert Certificate, configurations []configured) *bootstrap.Pass {
	pass := &bootstrap.Pass{
		Secret: c.store(component, cert), Want: c.want(cert), Events: c.Client.Events(c.Config.Namespace), Now: c.Now, Log: c.Log,
	}
	for _, configured := range configurations {
		if configured.auto() {
			pass.Configurations = append(pass.Configurations, c.configuration(configured))
		}
	}
	return pass
}

func (c *Controller) configuration(of configured) *webhook.Configuration {
	return &webhook.Configuration{
		API: c.Client.ConfigurationsOf(of.kind), Kind: of.kind, Name: of.name, FieldManager: fieldManager, Now: c.Now, Log: c.Log,
	}
}

// configuration is a webhook configuration of either kind; what differs between their entries is not looked at.
type configuration struct {
	Metadata meta                            `json:"metadata"`
	Webhooks []admissionv1.ValidatingWebhook `json:"webhooks"`
}

// configured is a webhook configuration of a component. Its object is nil when it does not exist.
type configured struct {
	kind, name string
	object     *configuration
}

// auto reports whether it is auto mode's to change.
func (c configured) auto() bool {
	if c.object == nil {
		return false
	}
	_, ok := c.object.Metadata.Annotations[annotationAuto]
	return ok
}
