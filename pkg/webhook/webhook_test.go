package webhook_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/gen/gentest"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

var now = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)

func TestTrustFillsEveryEntryOfBothKinds(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 2)
	for _, kind := range []string{webhook.Mutating, webhook.Validating} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newConfiguration(t, kind, nil, nil, nil)
			res, err := c.Trust(t.Context(), set)
			require.NoError(t, err)
			assert.Equal(t, webhook.Result{Kind: kind, Name: c.Name, Entries: 3, Patched: true}, res)
			for _, e := range entries(t, c) {
				assert.Equal(t, set.PEM(), e.CABundle)
			}

			before := version(t, c)
			res, err = c.Trust(t.Context(), set)
			require.NoError(t, err)
			assert.False(t, res.Patched)
			assert.Equal(t, before, version(t, c), "a second run writes nothing")
		})
	}
}

func TestTrustUnitesWithWhatIsThere(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 4)
	ours, theirs := set[3:], set[:3] // newest first, as they are kept
	expired := expiredCA(t)
	c := newConfiguration(t, webhook.Validating,
		nil,
		gen.CASet{theirs[0], expired, theirs[2]}.PEM(),
		append([]byte("text\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), theirs[1:2].PEM()...),
		gen.CASet{theirs[1], ours[0]}.PEM(),
	)
	_, err := c.Trust(t.Context(), ours)
	require.NoError(t, err)
	got := entries(t, c)
	assert.Equal(t, ours.PEM(), got[0].CABundle, "an empty bundle")
	assert.Equal(t, gen.CASet{ours[0], theirs[2], theirs[0]}.PEM(), got[1].CABundle, "an expired CA is dropped, the rest stays")
	assert.Equal(t, gen.CASet{ours[0], theirs[1]}.PEM([]byte{0, 0, 0}), got[2].CABundle,
		"what another Go may read stays, and text does not")
	assert.Equal(t, gen.CASet{theirs[1], ours[0]}.PEM(), got[3].CABundle, "a bundle that holds ours is left as it is")
}

// Without a bundle the API server verifies a URL's server by the roots of its own system (API reference, WebhookClientConfig).
func TestAnEntryThatTrustsTheSystemsRootsGoesOnToDoSo(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 2)
	c := newConfiguration(t, webhook.Validating, nil, nil, set[:1].PEM())
	change(t, c.Name, func(o *admissionv1.ValidatingWebhookConfiguration) {
		for i := range o.Webhooks[1:] {
			w := &o.Webhooks[1+i].ClientConfig
			w.Service, w.URL = nil, ptr.To("https://hooks.example.com/")
		}
	})
	res, err := c.Trust(t.Context(), set[1:])
	require.NoError(t, err)
	assert.Equal(t, webhook.Result{Kind: c.Kind, Name: c.Name, Entries: 3, Patched: true}, res)
	got := entries(t, c)
	assert.Equal(t, set[1:].PEM(), got[0].CABundle, "that of a Service")
	assert.Empty(t, got[1].CABundle, "that of a URL without a bundle")
	assert.Equal(t, gen.CASet{set[1], set[0]}.PEM(), got[2].CABundle, "that of a URL with one")
	res, err = c.Trust(t.Context(), set[1:])
	require.NoError(t, err)
	assert.False(t, res.Patched)
}

func TestACAIsAddedToHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 301)
	c := newConfiguration(t, webhook.Validating, set[:300].PEM(), set[1:9].PEM())
	_, err := c.Trust(t.Context(), set[300:])
	require.NoError(t, err)
	for i, e := range entries(t, c) {
		live, _ := gen.ParseCertificates(e.CABundle)
		require.Len(t, live, []int{301, 9}[i])
		assert.True(t, set[300].Equal(live[0]), "the newest first")
		assert.True(t, live.ContainsAll(set[1:9], now))
	}
}

// What the limit lets through has to be within that of the API server and of etcd.
func TestNothingIsPushedOutForWantOfRoom(t *testing.T) {
	t.Parallel()
	other, own := newCAs(t, 1), newCAs(t, 2)
	room := webhook.MaxBundles - 2*len(slices.Concat(other, own).PEM())
	for _, kind := range []string{webhook.Mutating, webhook.Validating} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			fits := slices.Concat(other, gen.CASet{gentest.LargeCA(t, room, now, time.Hour)})
			c := newConfiguration(t, kind, fits.PEM(), other.PEM())
			_, err := c.Trust(t.Context(), own)
			require.NoError(t, err)
			total := 0
			for _, e := range entries(t, c) {
				total += len(e.CABundle)
			}
			assert.Greater(t, total, webhook.MaxBundles*99/100, "hardly any room is left")

			before := version(t, c)
			_, err = c.Trust(t.Context(), newCAs(t, 10))
			var refused *webhook.RefusedError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, "refused:bundle-full", refused.Reason)
			assert.Regexp(t, "^patching "+kind+" "+c.Name+
				": refused:bundle-full: with the CAs that are to be added its 2 bundles would have [0-9]{7} bytes, and at most 1048576 are stored; "+
				"remove the CAs that nothing serves any more by: kubectl edit "+strings.ToLower(kind)+" "+c.Name+"$", err.Error())
			assert.Equal(t, before, version(t, c), "nothing is changed")

			_, err = c.Trust(t.Context(), own)
			require.NoError(t, err, "what is there needs no room")
			assert.Equal(t, before, version(t, c))
		})
	}
}

func TestWhatHasExpiredMakesRoom(t *testing.T) {
	t.Parallel()
	large := gentest.LargeCA(t, webhook.MaxBundles+2000, now, time.Hour)
	c := newConfiguration(t, webhook.Validating, gen.CASet{large}.PEM())
	_, err := c.Trust(t.Context(), newCAs(t, 1))
	var refused *webhook.RefusedError
	require.ErrorAs(t, err, &refused)
	c.Now = func() time.Time { return large.NotAfter.Add(time.Second) }
	own := newCAs(t, 1)
	_, err = c.Trust(t.Context(), own)
	require.NoError(t, err)
	assert.Equal(t, own.PEM(), entries(t, c)[0].CABundle)
}

func TestTrustChangesNothingButTheBundles(t *testing.T) {
	t.Parallel()
	c := newConfiguration(t, webhook.Validating, nil, nil)
	before := get(t, c.Name)
	_, err := c.Trust(t.Context(), newCAs(t, 1))
	require.NoError(t, err)
	after := get(t, c.Name)
	for i := range after.Webhooks {
		after.Webhooks[i].ClientConfig.CABundle = nil
	}
	assert.Equal(t, before.Webhooks, after.Webhooks)
	assert.Equal(t, before.Labels, after.Labels)
	assert.Equal(t, before.Annotations, after.Annotations)
	var fields []string
	for _, m := range after.ManagedFields {
		if m.Manager == "certgen-test" {
			fields = append(fields, m.FieldsV1.GetRawString())
		}
	}
	require.Len(t, fields, 1)
	assert.Equal(t, strings.Count(fields[0], `"f:caBundle":{}`), strings.Count(fields[0], `:{}`), "it owns nothing else: %s", fields[0])
}

func TestConcurrentWritersConverge(t *testing.T) {
	t.Parallel()
	const writers = 20
	set := newCAs(t, writers)
	first := newConfiguration(t, webhook.Mutating, nil, nil)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			c := *first
			_, err := c.Trust(t.Context(), set[i:i+1])
			if !assert.NoError(t, err) {
				return
			}
			for _, e := range entries(t, &c) {
				live, _ := gen.ParseCertificates(e.CABundle)
				assert.True(t, live.Contains(set[i]), "a writer that has finished is trusted")
			}
		})
	}
	group.Wait()
	for _, e := range entries(t, first) {
		live, _ := gen.ParseCertificates(e.CABundle)
		assert.Len(t, live, writers)
		assert.True(t, live.ContainsAll(set, now))
	}
}

func TestAConflictIsDecidedAnew(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 2)
	for name, meddle := range map[string]func(c *webhook.Configuration){
		"when another entry was added": func(c *webhook.Configuration) {
			change(t, c.Name, func(o *admissionv1.ValidatingWebhookConfiguration) {
				o.Webhooks = append(o.Webhooks, validating("late", nil))
			})
		},
		"when an entry was dropped": func(c *webhook.Configuration) {
			change(t, c.Name, func(o *admissionv1.ValidatingWebhookConfiguration) { o.Webhooks = o.Webhooks[1:] })
		},
		"when somebody else's CA was put in": func(c *webhook.Configuration) {
			change(t, c.Name, func(o *admissionv1.ValidatingWebhookConfiguration) {
				o.Webhooks[0].ClientConfig.CABundle = set[1:].PEM()
			})
		},
		"when it was deleted and made anew": func(c *webhook.Configuration) {
			o := get(t, c.Name)
			client := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
			require.NoError(t, client.Delete(t.Context(), c.Name, metav1.DeleteOptions{}))
			o.UID, o.ResourceVersion = "", ""
			_, err := client.Create(t.Context(), o, metav1.CreateOptions{})
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newConfiguration(t, webhook.Validating, nil, nil)
			require.NoError(t, c.Load(t.Context()))
			meddle(c)
			want := len(get(t, c.Name).Webhooks)
			res, err := c.Trust(t.Context(), set[:1])
			require.NoError(t, err)
			assert.Equal(t, want, res.Entries)
			got := entries(t, c)
			require.Len(t, got, want, "no stump of an entry is left")
			for _, e := range got {
				live, _ := gen.ParseCertificates(e.CABundle)
				assert.True(t, live.Contains(set[0]))
			}
		})
	}
}

func TestAConfigurationThatAppearsLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 1)
	logged := make(chan string, 1)
	c := &webhook.Configuration{
		API: webhook.ValidatingAPI(cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()), Kind: webhook.Validating,
		Name: "appears-later", FieldManager: "certgen-test", Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(lineWriter(logged), nil)),
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Trust(t.Context(), set)
		done <- err
	}()
	assert.Contains(
		t, <-logged, `msg="waiting for webhook configuration" kind=ValidatingWebhookConfiguration name=appears-later reason="does not exist"`,
	)
	create(t, c.Name, nil)
	require.NoError(t, <-done)
	assert.Equal(t, set.PEM(), entries(t, c)[0].CABundle)
}

// Helm removes the bundle of another mode in the request in which it sets the annotation. A CA that was put in before would be
// removed with it.
func TestAnAnnotationIsWaitedFor(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 2)
	c := newConfiguration(t, webhook.Validating, set[1:].PEM())
	c.Annotations = map[string]string{"mode": "auto"}
	logged := make(chan string, 1)
	c.Log = slog.New(slog.NewTextHandler(lineWriter(logged), nil))
	done := make(chan error, 1)
	go func() {
		_, err := c.Trust(t.Context(), set[:1])
		done <- err
	}()
	assert.Contains(t, <-logged, `reason="lacks the annotation mode=auto"`)
	assert.Equal(t, set[1:].PEM(), entries(t, c)[0].CABundle, "nothing is written before")
	change(t, c.Name, func(o *admissionv1.ValidatingWebhookConfiguration) {
		o.Annotations["mode"] = "auto"
		o.Webhooks[0].ClientConfig.CABundle = nil
	})
	require.NoError(t, <-done)
	assert.Equal(t, set[:1].PEM(), entries(t, c)[0].CABundle)
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, fmt.Errorf("timed out after 1m0s: %w", context.DeadlineExceeded))
		defer cancel()
		api := &countingAPI{err: apierrors.NewNotFound(schema.GroupResource{}, "x")}
		c := &webhook.Configuration{API: api, Kind: webhook.Mutating, Name: "x", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		_, err := c.Trust(ctx, nil)
		require.EqualError(
			t, err, "waiting for MutatingWebhookConfiguration x, which does not exist: timed out after 1m0s: context deadline exceeded",
		)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, fmt.Errorf("timed out after 1s"))
		defer cancel()
		c.API, c.Annotations = &countingAPI{}, map[string]string{"b": "c", "a": "d"}
		_, err = c.Trust(ctx, nil)
		require.EqualError(t, err, "waiting for MutatingWebhookConfiguration x, which lacks the annotation a=d: timed out after 1s")
		assert.Less(t, api.gets, 60, "it asks at most about every second")
		assert.Greater(t, api.gets, 25, "and at least every few seconds")
	})
}

// A pod of the revision before starts again after an upgrade has stopped half-way: its annotation never comes back.
func TestAnAnnotationIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var log bytes.Buffer
		api := &countingAPI{}
		c := &webhook.Configuration{
			API:         api,
			Kind:        webhook.Mutating,
			Name:        "x",
			Annotations: map[string]string{"a": "b"},
			Now:         func() time.Time { return now },
			Log:         slog.New(slog.NewTextHandler(&log, nil)),
		}
		res, err := c.Trust(t.Context(), newCAs(t, 1))
		require.NoError(t, err)
		assert.True(t, res.Patched)
		assert.GreaterOrEqual(t, time.Since(begun), webhook.AnnotationPatience)
		assert.Less(t, time.Since(begun), webhook.AnnotationPatience+5*time.Second)
		assert.Contains(
			t, log.String(),
			`level=WARN msg="going on with webhook configuration as it is: an upgrade may have stopped half-way" `+
				`kind=MutatingWebhookConfiguration name=x reason="lacks the annotation a=b"`,
		)
		gets := api.gets
		_, err = c.Trust(t.Context(), newCAs(t, 1))
		require.NoError(t, err)
		assert.Equal(t, gets+1, api.gets, "it is waited for once")
	})
}

func TestConflictsAgainAndAgainDoNotSpin(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"when it changes all the time": apierrors.NewConflict(schema.GroupResource{}, "x", nil),
		"when it comes and goes":       apierrors.NewNotFound(schema.GroupResource{}, "x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, fmt.Errorf("timed out after 1m0s: %w", context.DeadlineExceeded))
				defer cancel()
				api := &countingAPI{patchErr: err}
				c := &webhook.Configuration{
					API: api, Kind: webhook.Mutating, Name: "x", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
				}
				_, err := c.Trust(ctx, newCAs(t, 1))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, "patching MutatingWebhookConfiguration x: timed out after 1m0s: context deadline exceeded; last: ")
				assert.Less(t, api.gets, 100)
				assert.Greater(t, api.gets, 20)
			})
		})
	}
}

func TestErrorsNameTheObject(t *testing.T) {
	t.Parallel()
	c := &webhook.Configuration{
		API: &countingAPI{err: fmt.Errorf("no")}, Kind: webhook.Mutating, Name: "x", Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	_, err := c.Trust(t.Context(), nil)
	require.EqualError(t, err, "getting MutatingWebhookConfiguration x: no")
	c.API = &countingAPI{patchErr: fmt.Errorf("no")}
	_, err = c.Trust(t.Context(), newCAs(t, 1))
	require.EqualError(t, err, "patching MutatingWebhookConfiguration x: no")

	ctx, cancel := context.WithCancelCause(t.Context())
	c.API = &countingAPI{patchErr: apierrors.NewConflict(schema.GroupResource{}, "x", nil), onPatch: func() { cancel(fmt.Errorf("enough")) }}
	_, err = c.Trust(ctx, newCAs(t, 1))
	require.ErrorContains(t, err, "patching MutatingWebhookConfiguration x: enough; last: ")
}

// countingAPI answers every request with an error or with one entry without a bundle.
type countingAPI struct {
	err, patchErr error
	onPatch       func()
	gets          int
}

func (a *countingAPI) Get(context.Context, string) (*webhook.Snapshot, error) {
	a.gets++
	if a.err != nil {
		return nil, a.err
	}
	return &webhook.Snapshot{ResourceVersion: "1", Entries: []webhook.Entry{{Name: "e"}}}, nil
}

func (a *countingAPI) Patch(context.Context, string, []byte, string) error {
	if a.onPatch != nil {
		a.onPatch()
	}
	return a.patchErr
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

// newCAs makes n CAs, the first the oldest.
func newCAs(t testing.TB, n int) gen.CASet {
	t.Helper()
	var set gen.CASet
	for i := range n {
		set = append(set, newCA(t, now.Add(time.Duration(i-n)*time.Minute), gen.DefaultValidity))
	}
	return set
}

func expiredCA(t *testing.T) *x509.Certificate { return newCA(t, now.Add(-2*time.Hour), time.Hour) }

func newCA(t testing.TB, at time.Time, validity time.Duration) *x509.Certificate {
	t.Helper()
	b, err := gen.Generate(gen.Spec{DNSNames: []string{"a"}, Validity: validity, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, at)
	require.NoError(t, err)
	certs, _ := gen.ParseCertificates(b.CA)
	return certs[0]
}

// newConfiguration makes a configuration with an entry for each bundle.
func newConfiguration(t *testing.T, kind string, bundles ...[]byte) *webhook.Configuration {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "'", "").Replace(t.Name()))
	name = name[max(0, len(name)-200):]
	c := &webhook.Configuration{
		API:  webhook.ValidatingAPI(cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()),
		Kind: kind, Name: name, FieldManager: "certgen-test", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	if kind == webhook.Validating {
		create(t, name, bundles...)
		return c
	}
	c.API = webhook.MutatingAPI(cluster.Client.AdmissionregistrationV1().MutatingWebhookConfigurations())
	o := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for i, b := range bundles {
		v := validating(fmt.Sprint("e", i), b)
		body, err := json.Marshal(v)
		require.NoError(t, err)
		var w admissionv1.MutatingWebhook // has all fields of a validating one
		require.NoError(t, json.Unmarshal(body, &w))
		o.Webhooks = append(o.Webhooks, w)
	}
	_, err := cluster.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
	return c
}

func create(t *testing.T, name string, bundles ...[]byte) {
	t.Helper()
	o := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}},
	}
	for i, b := range bundles {
		o.Webhooks = append(o.Webhooks, validating(fmt.Sprint("e", i), b))
	}
	_, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
}

// validating is an entry for a resource that nobody creates.
func validating(name string, bundle []byte) admissionv1.ValidatingWebhook {
	return admissionv1.ValidatingWebhook{
		Name: name + ".example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
		ClientConfig: admissionv1.WebhookClientConfig{
			CABundle: bytes.Clone(bundle), Service: &admissionv1.ServiceReference{Namespace: "ns", Name: "svc"},
		},
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"nobodies"}},
		}},
	}
}

func get(t *testing.T, name string) *admissionv1.ValidatingWebhookConfiguration {
	t.Helper()
	o, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

func change(t *testing.T, name string, f func(*admissionv1.ValidatingWebhookConfiguration)) {
	t.Helper()
	o := get(t, name)
	f(o)
	_, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Update(t.Context(), o, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func entries(t *testing.T, c *webhook.Configuration) []webhook.Entry {
	t.Helper()
	s, err := c.API.Get(t.Context(), c.Name)
	require.NoError(t, err)
	return s.Entries
}

func version(t *testing.T, c *webhook.Configuration) string {
	t.Helper()
	s, err := c.API.Get(t.Context(), c.Name)
	require.NoError(t, err)
	return s.ResourceVersion
}
