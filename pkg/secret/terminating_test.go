package secret_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// counter counts the requests.
type counter struct {
	secret.Client
	requests atomic.Int32
	onGet    func()
}

func (c *counter) Get(ctx context.Context, name string, opts metav1.GetOptions) (*core.Secret, error) {
	c.requests.Add(1)
	if c.onGet != nil {
		c.onGet()
	}
	return c.Client.Get(ctx, name, opts)
}

func (c *counter) Create(ctx context.Context, s *core.Secret, opts metav1.CreateOptions) (*core.Secret, error) {
	c.requests.Add(1)
	return c.Client.Create(ctx, s, opts)
}

func (c *counter) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	c.requests.Add(1)
	return c.Client.Delete(ctx, name, opts)
}

const finalizer = "example.com/backup"

func TestASecretThatStaysInDeletionIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*core.Secret)
		deleted bool // by somebody else, before
	}{
		"a good one that somebody deletes":    {deleted: true},
		"a good foreign one, too":             {deleted: true, change: func(s *core.Secret) { s.Labels = nil }},
		"a broken one that somebody deletes":  {deleted: true, change: func(s *core.Secret) { s.Data["tls.key"] = []byte("garbage") }},
		"one that has to be made anew for us": {change: func(s *core.Secret) { s.Type = "Opaque" }},
		"a broken one that cannot be updated": {
			change: func(s *core.Secret) { s.Data["tls.key"], s.Immutable = []byte("garbage"), ptr.To(true) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			ensure(t, s, want)
			rewrite(t, s, func(o *core.Secret) {
				o.Finalizers = []string{finalizer, "example.com/audit"}
				if tc.change != nil {
					tc.change(o)
				}
			})
			if tc.deleted {
				remove(t, s)
			}
			before := stored(t, s).Data
			c := &counter{Client: s.Client}
			s.Client = c
			_, err := s.Ensure(t.Context(), want)
			var refused *secret.RefusedError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, secret.ReasonTerminating, refused.Reason)
			after := stored(t, s)
			since := after.DeletionTimestamp.UTC().Format(time.RFC3339)
			require.EqualError(t, err, "ensuring secret "+s.Namespace+"/certs: refused:terminating: the Secret is being deleted since "+since+
				", and its finalizers example.com/backup, example.com/audit hold it; let those who have set them finish, or remove them by: "+
				"kubectl patch secret --namespace "+s.Namespace+" certs --type merge --patch '{\"metadata\":{\"finalizers\":null}}'")
			assert.Equal(t, after.UID, refused.Object.UID)
			assert.Equal(t, before, after.Data)
			assert.Less(t, c.requests.Load(), int32(20), "it pauses between two looks")

			release(t, s)
			ensure(t, s, want)
			requireGood(t, stored(t, s), now)
		})
	}
}

func TestASecretWhoseDeletionEndsIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*core.Secret) // nil: somebody deletes it
		reason secret.Reason
	}{
		"that somebody deletes":                            {reason: "created"},
		"that is deleted for us, with what was to be kept": {func(s *core.Secret) { s.Type = "Opaque" }, "repaired:wrong-type"},
		"that is deleted for us, with the CAs it had": {
			func(s *core.Secret) { s.Immutable, s.Data["tls.key"] = ptr.To(true), []byte("garbage") }, "repaired:malformed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			first := ensure(t, s, want)
			rewrite(t, s, func(o *core.Secret) {
				o.Finalizers = []string{finalizer}
				if tc.change != nil {
					tc.change(o)
				}
			})
			if tc.change == nil {
				remove(t, s)
			}
			gets := 0
			s.Client = &counter{Client: s.Client, onGet: func() {
				if gets++; gets == 3 {
					release(t, s)
				}
			}}
			res := ensure(t, s, want)
			assert.Equal(t, tc.reason, res.Reason)
			requireGood(t, stored(t, s), now)
			if tc.change != nil {
				assert.True(t, res.Validation.CAs.Contains(first.Validation.CAs[0]))
			}
			assert.Equal(t, tc.reason == "repaired:wrong-type", string(res.Bundle.Key) == string(first.Bundle.Key))
		})
	}
}

// release lets a Secret that is being deleted go.
func release(t *testing.T, s *secret.Store) {
	t.Helper()
	patch := []byte(`{"metadata":{"finalizers":null}}`)
	_, err := cluster.Client.CoreV1().Secrets(s.Namespace).Patch(t.Context(), s.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
}

// contested answers each request as if somebody else had been faster.
type contested struct {
	secret.Client
	requests int
}

func (c *contested) Get(context.Context, string, metav1.GetOptions) (*core.Secret, error) {
	c.requests++
	return nil, apierrors.NewNotFound(secrets, "certs")
}

func (c *contested) Create(context.Context, *core.Secret, metav1.CreateOptions) (*core.Secret, error) {
	c.requests++
	return nil, apierrors.NewAlreadyExists(secrets, "certs")
}

func TestRacesThatAreLostAgainAndAgainDoNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, fmt.Errorf("timed out after 1m0s: %w", context.DeadlineExceeded))
		defer cancel()
		c := &contested{}
		s := &secret.Store{Client: c, Namespace: "ns", Name: "certs", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
		_, err := s.Ensure(ctx, want)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(
			t, err, `ensuring secret ns/certs: timed out after 1m0s: context deadline exceeded; last: creating it: secrets "certs" already exists`,
		)
		assert.Less(t, c.requests, 200)
		assert.Greater(t, c.requests, 20)
	})
}
