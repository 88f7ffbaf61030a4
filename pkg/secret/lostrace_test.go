package secret_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// hurdles is a way to the API server on which something happens before each write, by its number from 0, and which remembers the
// keys that are written.
type hurdles struct {
	secret.Client
	before []func()
	writes int
	keys   []string
}

func (h *hurdles) write(s *core.Secret) {
	h.keys = append(h.keys, string(s.Data["tls.key"]))
	if h.writes < len(h.before) {
		h.before[h.writes]()
	}
	h.writes++
}

func (h *hurdles) Create(ctx context.Context, s *core.Secret, opts metav1.CreateOptions) (*core.Secret, error) {
	h.write(s)
	return h.Client.Create(ctx, s, opts)
}

func (h *hurdles) Update(ctx context.Context, s *core.Secret, opts metav1.UpdateOptions) (*core.Secret, error) {
	h.write(s)
	return h.Client.Update(ctx, s, opts)
}

func TestARunMakesKeysOnceHoweverManyRacesItLoses(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	damage := func() { rewrite(t, s, func(o *core.Secret) { o.Data["tls.key"] = []byte("garbage") }) }
	h := &hurdles{Client: s.Client, before: []func(){
		func() { ensure(t, s, want); damage() }, // somebody creates one that must be repaired
		func() { rewrite(t, s, func(o *core.Secret) { o.Annotations["somebody"] = "changes it" }) },
	}}
	meddled := *s
	meddled.Client = h
	res := ensure(t, &meddled, want)
	assert.Equal(t, secret.Reason("repaired:malformed"), res.Reason)
	require.Len(t, h.keys, 3, "a create and two updates")
	assert.Len(t, slices.Compact(slices.Clone(h.keys)), 1, "each write is of the same key")
	assert.Equal(t, h.keys[0], string(stored(t, s).Data["tls.key"]))
}

// losing is an API server to which a Secret is always missing when it is read and there when it is created.
type losing struct {
	secret.Client
	creates  int
	onCreate func()
}

func (*losing) Get(context.Context, string, metav1.GetOptions) (*core.Secret, error) {
	return nil, apierrors.NewNotFound(secrets, "certs")
}

func (l *losing) Create(context.Context, *core.Secret, metav1.CreateOptions) (*core.Secret, error) {
	l.onCreate()
	if l.creates++; l.creates > 20 {
		return nil, errors.New("it goes on all the same")
	}
	return nil, apierrors.NewAlreadyExists(secrets, "certs")
}

func TestNoRaceIsRunAgainWhenTheContextHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	api := &losing{onCreate: func() { cancel(errors.New("enough")) }}
	s := &secret.Store{Client: api, Namespace: "ns", Name: "certs", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	_, err := s.Ensure(ctx, want)
	require.ErrorContains(t, err, "ensuring secret ns/certs: ")
	assert.Equal(t, 1, api.creates)
}

// The answer to a write is lost, and before the Secret is read again somebody damages it: that it holds the key of the run does not
// make it good.
func TestWhatARunHasWrittenItselfIsCheckedToo(t *testing.T) {
	t.Parallel()
	other, err := gen.Generate(want.Spec, now)
	require.NoError(t, err)
	s := newStore(t)
	meddled := *s
	meddled.Client = &meddler{Client: &damaging{s.Client, func() { rewrite(t, s, func(o *core.Secret) { o.Data["ca.crt"] = other.CA }) }},
		answer: apierrors.NewAlreadyExists(secrets, "certs")}
	res := ensure(t, &meddled, want)
	assert.Equal(t, secret.Reason("repaired:chain"), res.Reason)
	assert.Equal(t, res.Bundle, bundle(stored(t, s)))
	requireGood(t, stored(t, s), now)
}

// damaging is a way to the API server on which something happens after each create.
type damaging struct {
	secret.Client
	after func()
}

func (d *damaging) Create(ctx context.Context, s *core.Secret, opts metav1.CreateOptions) (*core.Secret, error) {
	o, err := d.Client.Create(ctx, s, opts)
	if err == nil {
		d.after()
	}
	return o, err
}

// A Secret that cannot be updated is deleted and made anew. Who makes it good and his own in between keeps it.
func TestOnlyTheSecretThatWasReadIsDeleted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	good := ensure(t, s, want).Bundle
	before := rewrite(t, s, func(o *core.Secret) { o.Type = "Opaque"; o.Data["tls.key"] = []byte("garbage") })
	meddled := *s
	meddled.Client = &meddler{Client: s.Client, before: func() {
		rewrite(t, s, func(o *core.Secret) { delete(o.Labels, secret.LabelManagedBy); put(o, good) })
	}}
	res := ensure(t, &meddled, want)
	assert.Equal(t, secret.ReasonReused, res.Reason)
	assert.Equal(t, good, res.Bundle)
	after := stored(t, s)
	assert.Equal(t, before.UID, after.UID, "it is the same object")
	assert.Equal(t, good, bundle(after))
}
