package integration

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// events are those about the site's Secret.
func (s *site) events(t *testing.T) []corev1.Event {
	t.Helper()
	list, err := cluster.Client.CoreV1().Events(s.namespace).List(
		t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=Secret,involvedObject.name=" + s.secret},
	)
	require.NoError(t, err)
	return list.Items
}

func TestOneEventTellsWhatBecameOfTheSecret(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(t *testing.T, s *site)
		args    []string
		code    int
		kind    string
		reason  string // empty: none
		message string
	}{
		"that was created": {
			func(t *testing.T, s *site) { s.deleteSecret(t) }, nil, 0, corev1.EventTypeNormal, "Created",
			`^created: the new certificate ends on 20\d\d-`,
		},
		"that was reused": {func(*testing.T, *site) {}, nil, 0, "", "", ""},
		"that was renewed": {
			func(*testing.T, *site) {}, []string{"--force-renew"}, 0, corev1.EventTypeNormal, "Renewed",
			`^renewed:forced: renewal was asked for; the new certificate ends on 20\d\d-`,
		},
		"that was repaired": {
			func(t *testing.T, s *site) { s.changeSecret(t, garbage) }, nil, 0, corev1.EventTypeWarning, "Repaired",
			`^repaired:malformed: .+; the certificate ends on 20\d\d-`,
		},
		"that was refused": {func(t *testing.T, s *site) {
			s.changeSecret(t, func(o *corev1.Secret) { o.Labels = nil; garbage(o) })
		}, nil, 3, corev1.EventTypeWarning, "Refused",
			`^refused:foreign-malformed: .+; repair the Secret, or have it made anew by: kubectl delete secret `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.createConfigurations(t)
			s.bootstrap(t.Context(), t).requireDone(t, "created")
			before := s.events(t)
			require.Len(t, before, 1)
			tc.change(t, s)
			o := s.bootstrap(t.Context(), t, tc.args...)
			require.Equal(t, tc.code, o.code, o.stderr)

			var fresh []corev1.Event
			for _, e := range s.events(t) {
				if e.Name != before[0].Name {
					fresh = append(fresh, e)
				}
			}
			if tc.reason == "" {
				require.Empty(t, fresh)
				return
			}
			require.Len(t, fresh, 1)
			e, secret := fresh[0], s.storedSecret(t)
			assert.Equal(t, tc.kind, e.Type)
			assert.Equal(t, tc.reason, e.Reason)
			assert.Regexp(t, tc.message, e.Message)
			assert.Equal(t, corev1.ObjectReference{
				APIVersion: "v1", Kind: "Secret", Namespace: s.namespace, Name: s.secret, UID: secret.UID, ResourceVersion: secret.ResourceVersion,
			}, e.InvolvedObject)
			assert.Equal(t, corev1.EventSource{Component: "kthena-certgen"}, e.Source)
			assert.Equal(t, "kthena-certgen", e.ReportingController)
			assert.EqualValues(t, 1, e.Count)
			assert.WithinDuration(t, time.Now(), e.LastTimestamp.Time, time.Minute)
			assert.Equal(t, e.FirstTimestamp, e.LastTimestamp)
			assert.NotContains(t, o.stderr, "event is not recorded")
		})
	}
}

func TestAnEventThatCannotBeRecordedChangesNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		logged string
	}{
		"because the API server is overloaded": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "the server has received too many requests and has asked us to try again later"},
		"because the connection breaks": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"because the API server never answers": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
			<-r.Context().Done()
		}, "timed out after 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.createConfigurations(t)
			var attempts atomic.Int32
			p := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
				if requestName(s, r) == "POST events" {
					attempts.Add(1)
					tc.answer(w, r)
					return
				}
				forward.ServeHTTP(w, r)
			})
			s.kubeconfig = s.writeKubeconfig(t, p.URL, caOf(p))
			s.requireDoneWithoutAnEvent(t, tc.logged)
			assert.EqualValues(t, 1, attempts.Load())
		})
	}
	t.Run("because it is forbidden", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.createConfigurations(t)
		roles := cluster.Client.RbacV1().Roles(s.namespace)
		role, err := roles.Get(t.Context(), account, metav1.GetOptions{})
		require.NoError(t, err)
		role.Rules = role.Rules[:2]
		_, err = roles.Update(t.Context(), role, metav1.UpdateOptions{})
		require.NoError(t, err)
		require.EventuallyWithT(
			t, func(c *assert.CollectT) { assert.False(c, s.may(t, "create", "events")) }, 30*time.Second, 20*time.Millisecond,
		)
		s.requireDoneWithoutAnEvent(t, "cannot create resource")
		assert.Equal(t, 1, s.requests(t)["create events 403"])
	})
}

// requireDoneWithoutAnEvent runs the program, which must do all but record an Event, and say so once.
func (s *site) requireDoneWithoutAnEvent(t *testing.T, logged string) {
	t.Helper()
	o := s.bootstrap(t.Context(), t)
	o.requireDone(t, "created")
	s.requireTrusted(t, o)
	assert.Empty(t, s.events(t))
	assert.Regexp(t, `level=WARN msg="event is not recorded" reason=Created message="created: .*`+logged, o.stderr)
}
