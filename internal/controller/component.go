package controller

import (
	"fmt"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// component is a Component, with what is known of it.
type component struct {
	Component
	deployment   *mirror[deployment]
	certificates []watched

	healing, serving *loop
	// healedAt is when CAs were put back last. It belongs to the loop healing.
	healedAt time.Time
	// What follows belongs to the loop serving.
	memory  memory
	refused map[verify.Code]bool
}

// watched is a Certificate, with what is known of it.
type watched struct {
	Certificate
	secret         *mirror[core.Secret] // auto mode's
	configurations []watchedConfiguration
}

type watchedConfiguration struct {
	kind, name string
	*mirror[configuration]
}

// read is what the webhook configurations are.
func (w *watched) read() ([]configured, error) {
	var all []configured
	for _, c := range w.configurations {
		o, err := c.get(c.name)
		if err != nil {
			return nil, err
		}
		all = append(all, configured{c.kind, c.name, o})
	}
	return all, nil
}

// certificate is the one of a Secret.
func (r *component) certificate(secret string) *watched {
	for i := range r.certificates {
		if r.certificates[i].Secret == secret {
			return &r.certificates[i]
		}
	}
	return nil
}

// unread says which of the objects have not been read yet that serve looks at.
func (c *Controller) unread(r *component) error {
	if _, err := c.slices.all(); err != nil {
		return err
	}
	if _, err := r.deployment.get(r.Deployment); err != nil {
		return err
	}
	return r.unread()
}

// unread says which of the objects have not been read yet that heal looks at.
func (r *component) unread() error {
	for i := range r.certificates {
		w := &r.certificates[i]
		if w.secret != nil {
			if _, err := w.secret.get(w.Secret); err != nil {
				return err
			}
		}
		if _, err := w.read(); err != nil {
			return err
		}
	}
	return nil
}

// Ready says why the controller does not keep everything in order, nil when it does.
func (c *Controller) Ready() error {
	if err := c.slices.state(); err != nil {
		return fmt.Errorf("following EndpointSlices: %w", err)
	}
	for _, r := range c.components {
		if err := r.ready(c.Config.Mode == verify.Auto); err != nil {
			return fmt.Errorf("component %s: %w", r.Deployment, err)
		}
	}
	return nil
}

func (r *component) ready(heals bool) error {
	if err := r.deployment.state(); err != nil {
		return fmt.Errorf("following the Deployment: %w", err)
	}
	for i := range r.certificates {
		w := &r.certificates[i]
		if w.secret != nil {
			if err := w.secret.state(); err != nil {
				return fmt.Errorf("following Secret %s: %w", w.Secret, err)
			}
		}
		for _, configuration := range w.configurations {
			if err := configuration.state(); err != nil {
				return fmt.Errorf("following %s %s: %w", configuration.kind, configuration.name, err)
			}
		}
	}
	if err := r.healing.err(); heals && err != nil {
		return err
	}
	return r.serving.err()
}
