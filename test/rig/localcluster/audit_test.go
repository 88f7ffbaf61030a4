package localcluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRequests(t *testing.T) {
	t.Run("has the requests of one user with what they were about", func(t *testing.T) {
		namespace := newNamespace(t)
		begun := time.Now()
		client := serviceAccountClient(t, namespace)
		user := "system:serviceaccount:" + namespace + ":default"
		none, err := cluster.Requests(user)
		require.NoError(t, err)
		require.Empty(t, none)

		_, err = client.CoreV1().Secrets(namespace).Get(t.Context(), "x", metav1.GetOptions{})
		require.True(t, apierrors.IsForbidden(err))
		_, err = client.CoreV1().Pods(namespace).UpdateStatus(
			t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}, metav1.UpdateOptions{},
		)
		require.True(t, apierrors.IsForbidden(err))
		_, err = client.Discovery().ServerVersion()
		require.NoError(t, err)

		requests, err := cluster.Requests(user)
		require.NoError(t, err)
		for i := range requests {
			assert.WithinRange(t, requests[i].Time, begun.Add(-time.Second), time.Now())
			requests[i].Time = time.Time{}
		}
		assert.Equal(t, []Request{
			{Verb: "get", Resource: "secrets", Namespace: namespace, Name: "x", Code: 403},
			{Verb: "update", Resource: "pods", Subresource: "status", Namespace: namespace, Name: "p", Code: 403},
			{Verb: "get", Code: 200},
		}, requests)
		assert.Equal(t, map[string]int{"get secrets 403": 1, "update pods/status 403": 1, "get  200": 1}, Count(requests))
	})
	t.Run("has each request as soon as it is answered", func(t *testing.T) {
		namespace := newNamespace(t)
		client := serviceAccountClient(t, namespace)
		for i := range 300 {
			_, err := client.CoreV1().Secrets(namespace).Get(t.Context(), "x", metav1.GetOptions{})
			require.True(t, apierrors.IsForbidden(err))
			requests, err := cluster.Requests("system:serviceaccount:" + namespace + ":default")
			require.NoError(t, err)
			require.Len(t, requests, i+1)
		}
	})
	t.Run("has a watch once, when it has ended too", func(t *testing.T) {
		// The administrator, whose watch is a request of this test alone.
		namespace := newNamespace(t)
		watch, err := cluster.Client.CoreV1().ConfigMaps(namespace).Watch(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		watch.Stop()
		require.Never(t, func() bool {
			requests, err := cluster.Requests("admin")
			require.NoError(t, err)
			count := 0
			for _, r := range requests {
				if r.Verb == "watch" && r.Namespace == namespace {
					count++
				}
			}
			return count != 1
		}, 300*time.Millisecond, 50*time.Millisecond)
	})
	t.Run("leaves the components of the cluster out", func(t *testing.T) {
		for _, user := range []string{controllersUser, proxyUser, kubeletUser, "system:apiserver"} {
			requests, err := cluster.Requests(user)
			require.NoError(t, err)
			assert.Empty(t, requests, user)
		}
	})
}
