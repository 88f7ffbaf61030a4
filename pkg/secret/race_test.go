package secret_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// meddler is a way to the API server on which something happens once: before the first write, or to its answer.
type meddler struct {
	secret.Client
	before func()
	answer error
	done   bool
}

// write does a write for the first time with what is to happen, and then as it is.
func (m *meddler) write(do func() error) error {
	if m.done {
		return do()
	}
	m.done = true
	if m.before != nil {
		m.before()
	}
	if err := do(); err != nil || m.answer == nil {
		return err
	}
	return m.answer
}

func (m *meddler) Create(ctx context.Context, s *core.Secret, opts metav1.CreateOptions) (o *core.Secret, err error) {
	err = m.write(func() (err error) { o, err = m.Client.Create(ctx, s, opts); return err })
	return o, err
}

func (m *meddler) Update(ctx context.Context, s *core.Secret, opts metav1.UpdateOptions) (o *core.Secret, err error) {
	err = m.write(func() (err error) { o, err = m.Client.Update(ctx, s, opts); return err })
	return o, err
}

func (m *meddler) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	return m.write(func() error { return m.Client.Delete(ctx, name, opts) })
}

func TestALostRaceIsDecidedAnew(t *testing.T) {
	t.Parallel()
	damage := func(o *core.Secret) { o.Data["tls.key"] = []byte("garbage") }
	freeze := func(o *core.Secret) { damage(o); o.Immutable = ptr.To(true) }
	for name, tc := range map[string]struct {
		// change is done to a good Secret; without one there is no Secret.
		change func(*core.Secret)
		before func(t *testing.T, s *secret.Store)
		answer error
		reason secret.Reason
	}{
		"when somebody creates it first": {before: func(t *testing.T, s *secret.Store) { ensure(t, s, want) }, reason: "reused"},
		"when somebody repairs it first": {
			change: damage, before: func(t *testing.T, s *secret.Store) { ensure(t, s, want) }, reason: "reused",
		},
		"when somebody deletes it before the update": {change: damage, before: remove, reason: "created"},
		"when somebody deletes what is immutable":    {change: freeze, before: remove, reason: "repaired:malformed"},
		"when somebody replaces what is immutable": {
			change: freeze, before: func(t *testing.T, s *secret.Store) { remove(t, s); ensure(t, s, want) }, reason: "reused",
		},
		// The transport repeats a write whose answer was lost, and then meets what it has written itself.
		"when the answer to a create is lost": {answer: apierrors.NewAlreadyExists(secrets, "certs"), reason: "created"},
		"when the answer to an update is lost": {
			change: damage, answer: apierrors.NewConflict(secrets, "certs", errors.New("changed")), reason: "repaired:malformed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			if tc.change != nil {
				ensure(t, s, want)
				rewrite(t, s, tc.change)
			}
			meddled := *s
			m := &meddler{Client: s.Client, answer: tc.answer}
			if tc.before != nil {
				m.before = func() { tc.before(t, s) }
			}
			meddled.Client = m
			res := ensure(t, &meddled, want)
			require.True(t, m.done)
			assert.Equal(t, tc.reason, res.Reason)
			assert.Equal(t, res.Bundle, bundle(stored(t, s)))
			requireGood(t, stored(t, s), now)
		})
	}
}

func TestASecretThatCannotBeDeletedIsNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer error
		want   string
	}{
		"for want of the right": {apierrors.NewForbidden(
			secrets, "certs", errors.New("no"),
		), "refused:immutable: the Secret must be replaced (repaired:malformed: the certificate and its key are not readable: failed to find " +
			"any PEM data in key input), " +
			"the API cannot update it and deleting it is forbidden; have it made anew by: kubectl delete secret --namespace NS certs"},
		"for another reason": {errors.New("no"), "deleting it: no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			ensure(t, s, want)
			before := rewrite(t, s, func(o *core.Secret) { o.Data["tls.key"], o.Immutable = []byte("garbage"), ptr.To(true) })
			s.Client = &undeletable{s.Client, tc.answer}
			_, err := s.Ensure(t.Context(), want)
			require.EqualError(t, err, "ensuring secret "+s.Namespace+"/certs: "+strings.ReplaceAll(tc.want, "NS", s.Namespace))
			assert.Equal(t, before, stored(t, s))
		})
	}
}

// undeletable answers every deletion with an error.
type undeletable struct {
	secret.Client
	answer error
}

func (u *undeletable) Delete(context.Context, string, metav1.DeleteOptions) error { return u.answer }

func remove(t *testing.T, s *secret.Store) {
	t.Helper()
	require.NoError(t, client(t, s.Namespace).Delete(t.Context(), s.Name, metav1.DeleteOptions{}))
}
