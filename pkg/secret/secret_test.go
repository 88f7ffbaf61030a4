package secret_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/gen/gentest"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

func TestEnsureCreatesAMissingSecret(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Annotations = map[string]string{"example.com/contact": "llm@example.com, on call", secret.AnnotationVersion: "not this one"}
	res := ensure(t, s, want)
	assert.Equal(t, secret.Created, res.Outcome)
	assert.Equal(t, secret.ReasonCreated, res.Reason)

	got := stored(t, s)
	assert.Equal(t, core.SecretTypeTLS, got.Type)
	assert.Equal(t, map[string]string{"app.kubernetes.io/managed-by": "kthena-certgen", "app.kubernetes.io/component": "registry"}, got.Labels)
	assert.Equal(t, map[string]string{
		"example.com/contact":                      "llm@example.com, on call",
		"certgen.kthena.volcano.sh/not-after":      now.Add(gen.DefaultValidity).Format(time.RFC3339),
		"certgen.kthena.volcano.sh/ca-fingerprint": gen.Fingerprint(res.Validation.CAs[0]),
		"certgen.kthena.volcano.sh/version":        "v1.2.3",
	}, got.Annotations)
	assert.Len(t, got.Data, 3)
	assert.Equal(t, "certgen-test", got.ManagedFields[0].Manager)
	requireGood(t, got, now)
}

func TestEnsureReusesAGoodSecretWithoutAWrite(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first := ensure(t, s, want)
	before := stored(t, s).ResourceVersion
	second := ensure(t, s, want)
	assert.Equal(t, secret.Reused, second.Outcome)
	assert.Equal(t, secret.ReasonReused, second.Reason)
	assert.Equal(t, first.Bundle, second.Bundle)
	assert.Equal(t, before, stored(t, s).ResourceVersion)
}

func TestRacingRunsAgreeOnOneSecret(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const runs = 50
	results := make([]secret.Result, runs)
	var group sync.WaitGroup
	for i := range runs {
		group.Go(func() {
			res, err := s.Ensure(t.Context(), want)
			if assert.NoError(t, err) {
				results[i] = res
			}
		})
	}
	group.Wait()
	created := 0
	for _, r := range results {
		if r.Outcome == secret.Created {
			created++
		} else {
			assert.Equal(t, secret.Reused, r.Outcome)
		}
		assert.Equal(t, results[0].Bundle, r.Bundle)
	}
	assert.Equal(t, 1, created)
}

func TestEnsureRepairsWhatIsOurs(t *testing.T) {
	t.Parallel()
	other, err := gen.Generate(want.Spec, now)
	require.NoError(t, err)
	narrow, err := gen.Generate(gen.Spec{DNSNames: want.Spec.DNSNames[:1], Validity: gen.DefaultValidity, Key: want.Spec.Key}, now)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*core.Secret)
		at     time.Time
		reason secret.Reason
		// keeps says that the certificate stays as it was, anew that the Secret is another object.
		keeps, anew bool
	}{
		"an empty key":              {change: func(s *core.Secret) { s.Data["tls.key"] = nil }, reason: "repaired:malformed"},
		"a missing CA set":          {change: func(s *core.Secret) { delete(s.Data, "ca.crt") }, reason: "repaired:malformed"},
		"garbage":                   {change: func(s *core.Secret) { s.Data["tls.crt"] = []byte("garbage") }, reason: "repaired:malformed"},
		"a key of another":          {change: func(s *core.Secret) { s.Data["tls.key"] = other.Key }, reason: "repaired:key-mismatch"},
		"a CA set of another":       {change: func(s *core.Secret) { s.Data["ca.crt"] = other.CA }, reason: "repaired:chain"},
		"a certificate of less":     {change: func(s *core.Secret) { put(s, narrow) }, reason: "repaired:dns-names"},
		"an expired certificate":    {at: now.Add(gen.DefaultValidity + time.Hour), reason: "repaired:expired"},
		"a certificate of tomorrow": {at: now.Add(-24 * time.Hour), reason: "repaired:not-yet-valid"},
		"a key too many":            {change: func(s *core.Secret) { s.Data["more"] = []byte("x") }, reason: "repaired:keys", keeps: true},
		"a key too many, another CA first": {change: func(s *core.Secret) {
			s.Data["more"], s.Data["ca.crt"] = []byte("x"), slices.Concat(other.CA, s.Data["ca.crt"])
		}, reason: "repaired:keys", keeps: true},
		"an immutable one": {
			change: func(s *core.Secret) { s.Immutable = ptr.To(true); s.Data["tls.key"] = other.Key }, reason: "repaired:key-mismatch", anew: true,
		},
		"one of the wrong type": {
			change: func(s *core.Secret) { s.Type = "Opaque" }, reason: "repaired:wrong-type", keeps: true, anew: true,
		},
		"a broken one of wrong type": {change: func(s *core.Secret) { s.Type = "x/y"; s.Data = nil }, reason: "repaired:malformed", anew: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			first := ensure(t, s, want)
			before := rewrite(t, s, func(o *core.Secret) {
				o.Annotations["somebody"] = "else"
				if tc.change != nil {
					tc.change(o)
				}
			})
			if !tc.at.IsZero() {
				s.Now = func() time.Time { return tc.at }
			}
			res := ensure(t, s, want)
			assert.Equal(t, tc.reason, res.Reason)
			assert.Equal(t, secret.Repaired, res.Outcome)
			after := stored(t, s)
			requireGood(t, after, s.Now())
			assert.Equal(t, secret.ManagedBy, after.Labels[secret.LabelManagedBy])
			assert.Equal(t, tc.keeps, bytes.Equal(first.Bundle.Key, after.Data["tls.key"]))
			assert.Equal(
				t, gen.Fingerprint(gen.Check(bundle(after), nil, s.Now()).Root), after.Annotations["certgen.kthena.volcano.sh/ca-fingerprint"],
			)
			if assert.Equal(t, tc.anew, before.UID != after.UID); !tc.anew {
				assert.Equal(t, "else", after.Annotations["somebody"], "what others wrote stays")
			}
			for _, c := range gen.Check(bundle(before), nil, now).CAs {
				assert.Equal(t, !s.Now().After(c.NotAfter), res.Validation.CAs.Contains(c), "CAs stay trusted until they expire")
			}
			assert.Equal(t, secret.Reused, ensure(t, s, want).Outcome, "the repair lasts")
		})
	}
}

func TestEnsureRenews(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		want   secret.Want
		left   time.Duration
		reason secret.Reason
	}{
		"when less than a third is left": {want, gen.DefaultValidity/3 - time.Second, "renewed:expiring"},
		"not while a third is left":      {want, gen.DefaultValidity / 3, "reused"},
		"when less is left than was asked for": {
			secret.Want{Spec: want.Spec, RenewBefore: time.Hour}, time.Hour - time.Second, "renewed:expiring",
		},
		"not while as much is left as asked for":   {secret.Want{Spec: want.Spec, RenewBefore: time.Hour}, time.Hour, "reused"},
		"when it is forced, however much is left ": {secret.Want{Spec: want.Spec, Force: true}, gen.DefaultValidity, "renewed:forced"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			old := ensure(t, s, want)
			at := now.Add(gen.DefaultValidity - tc.left)
			s.Now = func() time.Time { return at }
			res := ensure(t, s, tc.want)
			require.Equal(t, tc.reason, res.Reason)
			if res.Outcome == secret.Reused {
				assert.Equal(t, old.Bundle, res.Bundle)
				return
			}
			requireGood(t, stored(t, s), at)
			require.Len(t, res.Validation.CAs, 2)
			assert.Equal(t, res.Validation.CAs[1], old.Validation.CAs[0], "the old CA stays trusted, behind the new one")
			assert.NotEqual(t, old.Bundle.Key, res.Bundle.Key)
			assert.Equal(t, at.Add(gen.DefaultValidity), res.Validation.NotAfter)
		})
	}
}

func TestNoCAIsPushedOutHoweverOftenARenewalIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	forced := secret.Want{Spec: want.Spec, Force: true}
	all := ensure(t, s, want).Validation.CAs
	for i := range 12 {
		at := now.Add(time.Duration(i+1) * time.Hour)
		s.Now = func() time.Time { return at }
		res := ensure(t, s, forced)
		require.Len(t, res.Validation.CAs, len(all)+1)
		require.True(t, res.Validation.CAs.ContainsAll(all, at))
		all = res.Validation.CAs
	}
}

func TestASecretWithoutRoomForAnotherCA(t *testing.T) {
	t.Parallel()
	full := func(s *core.Secret) {
		room := core.MaxSecretSize - len(s.Data["ca.crt"]) - len(s.Data["tls.crt"]) - len(s.Data["tls.key"])
		s.Data["ca.crt"] = append(s.Data["ca.crt"], gen.CASet{gentest.LargeCA(t, room, now, gen.MaxValidity)}.PEM()...)
	}
	due := "renewed:expiring is due, and ca.crt has no room for a new CA beside the 2 that have not expired: a Secret holds 1048576 bytes"
	for name, tc := range map[string]struct {
		want   secret.Want
		change func(*core.Secret)
		at     time.Time
		detail string
		err    string // empty: the certificate is used
	}{
		"goes on with a certificate that is good": {want: want},
		"goes on with one whose renewal is due":   {want: want, at: now.Add(gen.DefaultValidity - time.Hour), detail: due},
		"is refused when a renewal is asked for": {
			want: secret.Want{Spec: want.Spec, Force: true}, err: strings.ReplaceAll(due, "expiring", "forced"),
		},
		"is refused when the certificate is bad": {
			want: want, change: func(s *core.Secret) {
				s.Data["tls.key"] = bytes.ToLower(s.Data["tls.key"])
			}, err: strings.ReplaceAll(due, "renewed:expiring", "repaired:malformed"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			first := ensure(t, s, want)
			before := rewrite(t, s, func(o *core.Secret) {
				full(o)
				if tc.change != nil {
					tc.change(o)
				}
			})
			if !tc.at.IsZero() {
				s.Now = func() time.Time { return tc.at }
			}
			res, err := s.Ensure(t.Context(), tc.want)
			if tc.err != "" {
				require.EqualError(
					t, err,
					"ensuring secret "+s.Namespace+"/certs: refused:secret-full: "+tc.err+"; have it made anew by: kubectl delete secret --namespace "+
						s.Namespace+" certs",
				)
				var refused *secret.RefusedError
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, before.UID, refused.Object.UID)
			} else {
				require.NoError(t, err)
				assert.Equal(t, secret.ReasonReused, res.Reason)
				assert.Equal(t, tc.detail, res.Detail)
				assert.Equal(t, first.Bundle.Key, res.Bundle.Key)
				assert.Len(t, res.Validation.CAs, 2)
			}
			assert.Equal(t, before, stored(t, s), "nothing is changed")
		})
	}
}

func TestWhatIsNotOursIsNeverChanged(t *testing.T) {
	t.Parallel()
	good, err := gen.Generate(want.Spec, now)
	require.NoError(t, err)
	other, err := gen.Generate(want.Spec, now)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*core.Secret)
		at     time.Time
		want   string // empty: used
	}{
		"a good one is used":                   {},
		"a good one of another type is used":   {change: func(s *core.Secret) { s.Type = "Opaque" }},
		"a good one with more keys is used":    {change: func(s *core.Secret) { s.Data["more"] = nil }},
		"a good one that expires soon is used": {at: now.Add(gen.DefaultValidity - time.Hour)},
		"an immutable one is used":             {change: func(s *core.Secret) { s.Immutable = ptr.To(true) }},
		"one without a CA set is refused": {
			change: func(s *core.Secret) { delete(s.Data, "ca.crt") },
			want: "refused:foreign-malformed: the Secret has no label app.kubernetes.io/managed-by=kthena-certgen, so it is left alone, and " +
				"its certificate cannot be used: malformed: the CA set is missing or empty",
		},
		"one with the key of another is refused": {
			change: func(s *core.Secret) { s.Data["tls.key"] = other.Key },
			want: "refused:foreign-key-mismatch: the Secret has no label app.kubernetes.io/managed-by=kthena-certgen, so it is left alone, and " +
				"its certificate cannot be used: key-mismatch: the private key does not belong to the certificate",
		},
		"an expired one is refused": {
			at: now.Add(2 * gen.DefaultValidity),
			want: "refused:foreign-expired: the Secret has no label app.kubernetes.io/managed-by=kthena-certgen, so it is left alone, and its " +
				"certificate cannot be used: expired: the certificate expired on 2036-11-21T08:30:00Z",
		},
		"somebody else's label is refused": {change: func(s *core.Secret) {
			s.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"}
			s.Data["ca.crt"] = other.CA
		}, want: "refused:foreign-chain: the Secret has no label app.kubernetes.io/managed-by=kthena-certgen, so it is left alone, and its " +
			"certificate cannot be used: chain: no CA of the set has signed the certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			o := &core.Secret{ObjectMeta: metav1.ObjectMeta{Name: s.Name}, Type: core.SecretTypeTLS}
			put(o, good)
			if tc.change != nil {
				tc.change(o)
			}
			before, err := client(t, s.Namespace).Create(t.Context(), o, metav1.CreateOptions{})
			require.NoError(t, err)
			if !tc.at.IsZero() {
				s.Now = func() time.Time { return tc.at }
			}
			res, err := s.Ensure(t.Context(), want)
			if tc.want == "" {
				require.NoError(t, err)
				_, err := s.Ensure(t.Context(), secret.Want{Spec: want.Spec, Force: true})
				require.EqualError(t, err, "ensuring secret "+s.Namespace+
					"/certs: refused:foreign-forced: the Secret has no label app.kubernetes.io/managed-by=kthena-certgen, "+
					"so it is left alone, and cannot be renewed; replace its certificate yourself, or have it made anew by: kubectl delete secret "+
					"--namespace "+s.Namespace+" certs")
				assert.Equal(t, secret.ReasonReused, res.Reason)
				assert.Equal(t, good, res.Bundle)
			} else {
				require.EqualError(t, err, "ensuring secret "+s.Namespace+"/certs: "+tc.want+
					"; repair the Secret, or have it made anew by: kubectl delete secret --namespace "+s.Namespace+" certs")
				var refused *secret.RefusedError
				require.ErrorAs(t, err, &refused)
			}
			assert.Equal(t, before, stored(t, s))
		})
	}
}

func TestANamespaceThatDoesNotExistIsAnError(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Namespace = "nowhere"
	s.Client = client(t, "nowhere")
	_, err := s.Ensure(t.Context(), want)
	require.EqualError(t, err, `ensuring secret nowhere/certs: creating it: namespaces "nowhere" not found`)
}

func TestEnsureStopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Ensure(ctx, want)
	require.ErrorIs(t, err, context.Canceled)
}

var (
	now  = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	want = secret.Want{Spec: gen.Spec{
		DNSNames: []string{"registry-webhook.ns.svc", "registry-webhook.ns.svc.cluster.local"},
		Validity: gen.DefaultValidity,
		Key:      gen.KeySpec{Algorithm: gen.ECDSA},
	}}
)

// newStore is a store in a namespace of its own.
func newStore(t *testing.T) *secret.Store {
	t.Helper()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(
		t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "secret-"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	return &secret.Store{
		Client: client(t, ns.Name), Namespace: ns.Name, Name: "certs",
		Labels: map[string]string{"app.kubernetes.io/component": "registry"}, Version: "v1.2.3", FieldManager: "certgen-test",
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
}

func ensure(t *testing.T, s *secret.Store, w secret.Want) secret.Result {
	t.Helper()
	res, err := s.Ensure(t.Context(), w)
	require.NoError(t, err)
	return res
}

func stored(t *testing.T, s *secret.Store) *core.Secret {
	t.Helper()
	o, err := client(t, s.Namespace).Get(t.Context(), s.Name, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// rewrite replaces the stored Secret by a changed one, as somebody with all rights can.
func rewrite(t *testing.T, s *secret.Store, change func(*core.Secret)) *core.Secret {
	t.Helper()
	o := stored(t, s)
	change(o)
	c := client(t, s.Namespace)
	updated, err := c.Update(t.Context(), o, metav1.UpdateOptions{})
	if apierrors.IsInvalid(err) { // the type cannot be updated, and kubernetes.io/tls must have its keys
		require.NoError(t, c.Delete(t.Context(), o.Name, metav1.DeleteOptions{}))
		o.UID, o.ResourceVersion = "", ""
		updated, err = c.Create(t.Context(), o, metav1.CreateOptions{})
	}
	require.NoError(t, err)
	return updated
}

func put(s *core.Secret, b gen.Bundle) {
	s.Data = map[string][]byte{"ca.crt": b.CA, "tls.crt": b.Cert, "tls.key": b.Key}
}

func bundle(s *core.Secret) gen.Bundle {
	return gen.Bundle{CA: s.Data["ca.crt"], Cert: s.Data["tls.crt"], Key: s.Data["tls.key"]}
}

func requireGood(t *testing.T, s *core.Secret, at time.Time) {
	t.Helper()
	r := gen.Check(bundle(s), want.Spec.DNSNames, at)
	require.Empty(t, r.Faults)
	require.Equal(t, core.SecretTypeTLS, s.Type)
	require.Len(t, s.Data, 3)
}
