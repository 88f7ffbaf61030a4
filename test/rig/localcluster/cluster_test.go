package localcluster

import (
	"cmp"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestTheSharedCluster(t *testing.T) {
	t.Run("is of the version it was built from", func(t *testing.T) {
		assert.Equal(t, cmp.Or(os.Getenv(versionEnv), "v1.37.2"), cluster.Version())
	})
	t.Run("is reached by the kubeconfig, which only its owner may read", func(t *testing.T) {
		info, err := os.Stat(cluster.Kubeconfig)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
		config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
		require.NoError(t, err)
		client, err := kubernetes.NewForConfig(config)
		require.NoError(t, err)
		_, err = client.CoreV1().Nodes().Get(t.Context(), NodeName, metav1.GetOptions{})
		require.NoError(t, err)
	})
	t.Run("has a node that is ready and without a taint", func(t *testing.T) {
		node, err := cluster.Client.CoreV1().Nodes().Get(t.Context(), NodeName, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, corev1.ConditionTrue, node.Status.Conditions[0].Status)
		assert.Empty(t, node.Spec.Taints)
	})
	t.Run("lets a service account's token do what its roles allow and no more", func(t *testing.T) {
		namespace := newNamespace(t)
		client := serviceAccountClient(t, namespace)

		review, err := client.AuthenticationV1().SelfSubjectReviews().Create(
			t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{},
		)
		require.NoError(t, err)
		assert.Equal(t, "system:serviceaccount:"+namespace+":default", review.Status.UserInfo.Username)
		_, err = client.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsForbidden(err), "%v", err)
	})
	t.Run("turns a Deployment into a ReplicaSet and Pods, and deletes them with it", func(t *testing.T) {
		namespace := newNamespace(t)
		labels := map[string]string{"app": "web"}
		replicas := int32(2)
		_, err := cluster.Client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec: appsv1.DeploymentSpec{
				Replicas: &replicas,
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
				},
			},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		pods := func() int {
			list, err := cluster.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
			require.NoError(t, err)
			return len(list.Items)
		}
		require.Eventually(t, func() bool { return pods() == 2 }, 30*time.Second, 20*time.Millisecond)
		sets, err := cluster.Client.AppsV1().ReplicaSets(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		require.Len(t, sets.Items, 1)

		background := metav1.DeletePropagationBackground
		require.NoError(
			t, cluster.Client.AppsV1().Deployments(namespace).Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &background}),
		)
		require.Eventually(t, func() bool { return pods() == 0 }, 30*time.Second, 20*time.Millisecond)
	})
	t.Run("empties a namespace that is deleted", func(t *testing.T) {
		namespace := newNamespace(t)
		_, err := cluster.Client.CoreV1().ConfigMaps(namespace).Create(
			t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{},
		)
		require.NoError(t, err)
		require.NoError(t, cluster.Client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}))
		require.Eventually(t, func() bool {
			_, err := cluster.Client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		}, 30*time.Second, 20*time.Millisecond)
	})
}

func TestStartRefuses(t *testing.T) {
	t.Run("a context that has ended, and leaves nothing behind", func(t *testing.T) {
		dir := temporaryFolder(t)
		t.Setenv("TMPDIR", dir)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Start(ctx, Options{})
		require.ErrorIs(t, err, context.Canceled)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left)
		assert.Empty(t, naming(t, dir))
	})
	t.Run("an API server of another version than the one that is asked for", func(t *testing.T) {
		t.Setenv(versionEnv, "v1.20.0")
		_, err := Start(t.Context(), Options{})
		assert.EqualError(t, err, "starting the local cluster: kube-apiserver is "+cluster.Version()+", and KUBERNETES_VERSION asks for v1.20.0")
	})
}

// newNamespace makes a namespace for one test, complete with its service account.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace, err := cluster.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := cluster.Client.CoreV1().ServiceAccounts(namespace.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	return namespace.Name
}

// serviceAccountClient makes a client with a token of the namespace's service account.
func serviceAccountClient(t *testing.T, namespace string) kubernetes.Interface {
	t.Helper()
	token, err := cluster.Client.CoreV1().ServiceAccounts(namespace).CreateToken(
		t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	config := rest.AnonymousClientConfig(cluster.Config)
	config.BearerToken = token.Status.Token
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}
