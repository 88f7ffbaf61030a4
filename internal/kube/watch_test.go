package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
)

// told passes on what a Handler is told.
type told struct {
	replaced chan []kube.Event
	changed  chan kube.Event
}

func newTold() *told { return &told{make(chan []kube.Event, 10), make(chan kube.Event, 10)} }

func (h *told) Replace(all []kube.Event) { h.replaced <- all }
func (h *told) Change(e kube.Event)      { h.changed <- e }

// next is what comes next on a channel.
func next[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(time.Minute):
		require.Fail(t, "nothing came")
	}
	return v
}

func TestFollowTellsOfOneObjectWithRightsThatAreLimitedToItsName(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(
		ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "follow-"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	user := "follower-of-" + ns.Name
	_, err = cluster.Client.RbacV1().Roles(ns.Name).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "one"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"one"}, Verbs: []string{"list", "watch"}},
		}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = cluster.Client.RbacV1().RoleBindings(ns.Name).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "one"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "one"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate.UserName = user
	raw, err := kube.NewRaw(config, time.Now)
	require.NoError(t, err)

	maps := cluster.Client.CoreV1().ConfigMaps(ns.Name)
	path := "/api/v1/namespaces/" + ns.Name + "/configmaps"
	one := url.Values{"fieldSelector": {"metadata.name=one"}}
	h := newTold()
	ended := make(chan error, 1)
	go func() {
		for {
			// The authorizer learns of the binding a moment later.
			err := raw.Follow(ctx, path, one, h)
			if !apierrors.IsForbidden(err) {
				ended <- err
				return
			}
		}
	}()
	assert.Empty(t, next(t, h.replaced), "it is not there yet")
	for _, name := range []string{"another", "one"} {
		_, err = maps.Create(
			ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"key": "first"}}, metav1.CreateOptions{},
		)
		require.NoError(t, err)
	}
	made := next(t, h.changed)
	assert.Equal(t, "one", made.Name)
	assert.Contains(t, string(made.Object), `"first"`)
	require.NoError(t, maps.Delete(ctx, "one", metav1.DeleteOptions{}))
	assert.Equal(t, kube.Event{Name: "one"}, next(t, h.changed))

	err = raw.Follow(ctx, path, nil, newTold())
	require.True(t, apierrors.IsForbidden(err), "all of them may not be listed")
	assert.EqualError(
		t, err,
		fmt.Sprintf(
			`listing %s: configmaps is forbidden: User %q cannot list resource "configmaps" in API group "" in the namespace %q`, path, user,
			ns.Name,
		),
	)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestFollowEndsWithWhatTheServerSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stream string
		check  func(error) bool
	}{
		"that the watch lies too far back": {
			`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old ` +
				`resource version"}}`,
			apierrors.IsResourceExpired,
		},
		"a stream that is cut in a word": {`{"type":"MODI`, func(err error) bool { return err != nil && !apierrors.IsResourceExpired(err) }},
		"a stream that ends at once":     {``, func(err error) bool { return err != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Query().Get("watch") == "" {
					_, _ = w.Write([]byte(`{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"one"}}]}`))
					return
				}
				assert.Equal(t, "7", r.URL.Query().Get("resourceVersion"), "the watch goes on where the list has ended")
				assert.NotEmpty(t, r.URL.Query().Get("timeoutSeconds"))
				_, _ = w.Write([]byte(tc.stream))
			}))
			t.Cleanup(server.Close)
			raw, err := kube.NewRaw(&rest.Config{Host: server.URL}, time.Now)
			require.NoError(t, err)
			h := newTold()
			err = raw.Follow(t.Context(), "/things", nil, h)
			require.True(t, tc.check(err), "%v", err)
			require.Len(t, next(t, h.replaced), 1)
		})
	}
}
