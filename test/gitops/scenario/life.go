package scenario

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Release is a release in the hands of its deployer.
type Release interface {
	// Base is what it has whoever deploys it.
	Base() *Rig
	// Deploy asks for it with values, and waits until it is there.
	Deploy(t *testing.T, values map[string]any)
	// Change asks for other values, and waits until they are there.
	Change(t *testing.T, values map[string]any)
	// Compare has the deployer compare what is there with what was asked for, so many times.
	Compare(t *testing.T, times int)
	// Drift does something, and says what the deployer took for a difference meanwhile or takes for one then.
	Drift(t *testing.T, do func()) string
	// Applied says when the deployer has applied something last.
	Applied(t *testing.T) string
	// Correct waits until the deployer has changed back what somebody else has changed, and says what it took for a difference.
	Correct(t *testing.T) string
}

// Quiet is a step in which the deployer sees no difference.
func Quiet(r Release, name string, do func(t *testing.T)) Step {
	return Step{Name: name, Do: func(t *testing.T) string {
		drift := r.Drift(t, func() { do(t) })
		assert.Equal(t, NoDrift, drift)
		return drift
	}}
}

// Install is the step that installs a release.
func Install(r Release, name string, values map[string]any) Step {
	return Quiet(r, name, func(t *testing.T) {
		r.Deploy(t, values)
		r.Base().RequireNoRestarts(t)
	})
}

// Idle is the step in which nothing is asked for but three looks.
func Idle(r Release, name string) Step {
	return Quiet(r, name, func(t *testing.T) {
		r.Base().Settle(t)
		before := r.Applied(t)
		r.Base().Stands(t, func() { r.Compare(t, 3) })
		assert.Equal(t, before, r.Applied(t), "nothing is applied")
	})
}

// Renew is the step in which a certificate is renewed.
func Renew(r Release) Step {
	return Quiet(r, "a certificate is renewed, the controller rolls the pods", func(t *testing.T) {
		r.Base().Renew(t)
		r.Base().Stands(t, func() { r.Compare(t, 2) })
	})
}

// Upgrade is a step that keeps the mode and changes the pods.
func Upgrade(r Release, name string, values map[string]any) Step {
	return Quiet(r, name, func(t *testing.T) {
		rolled, bundles := r.Base().Rolled(t), r.Base().Bundles(t)
		r.Change(t, values)
		assert.Equal(t, rolled, r.Base().Rolled(t), "the controller's annotation survives")
		assert.Equal(t, bundles, r.Base().Bundles(t))
	})
}

// Replace is a step that replaces webhook configurations, by how the release is deployed now.
func Replace(r Release, name string, values map[string]any) Step {
	s := Quiet(r, name, func(t *testing.T) { r.Change(t, values) })
	s.Replaces = true
	return s
}

// Tamper is the step in which somebody else changes a webhook.
func Tamper(r Release, name string) Step {
	return Step{Name: name, Do: func(t *testing.T) string {
		bundles := r.Base().Bundles(t)
		r.Base().tamper(t)
		drift := r.Correct(t)
		assert.False(t, r.Base().Tampered(t))
		assert.Equal(t, bundles, r.Base().Bundles(t))
		assert.Equal(t, "1 corrected", drift)
		return drift
	}}
}

// Switch is the step that brings a release to another mode.
func Switch(r Release, from, to string) Step {
	return Quiet(r, "from "+from+" mode", func(t *testing.T) {
		r.Base().Mode = to
		r.Change(t, Values(to))
		r.Compare(t, 1)
	})
}
