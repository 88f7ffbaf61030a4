package helm_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

const chart = "testdata/greeting"

func TestRelease(t *testing.T) {
	cluster, err := localcluster.Start(t.Context(), localcluster.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	// What the cluster serves must not be looked up in, or written to, the user's home.
	home := t.TempDir()
	t.Setenv("HOME", home)

	client := func(t *testing.T, namespace string) *helm.Client {
		t.Helper()
		c, err := helm.New(cluster.Kubeconfig, namespace)
		require.NoError(t, err)
		return c
	}
	configMap := func(t *testing.T, namespace string) *corev1.ConfigMap {
		t.Helper()
		m, err := cluster.Client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "r", metav1.GetOptions{})
		require.NoError(t, err)
		return m
	}

	t.Run("an install creates the namespace and returns the notes", func(t *testing.T) {
		rel, err := client(t, "install").Install(t.Context(), "r", chart, map[string]any{"greeting": "hi"}, helm.ReleaseOptions{Wait: true})
		require.NoError(t, err)
		assert.Equal(t, "It says hi.\n", rel.Notes)
		assert.Contains(t, rel.Manifest, "greeting: hi\n")
		rel.Notes, rel.Manifest = "", ""
		assert.Equal(t, helm.Release{Name: "r", Namespace: "install", Revision: 1, Status: "deployed"}, rel)
		assert.Equal(t, "hi", configMap(t, "install").Data["greeting"])
	})

	t.Run("the release is a Secret, and its objects have the helm command as field manager", func(t *testing.T) {
		_, err := client(t, "record").Install(t.Context(), "r", chart, nil, helm.ReleaseOptions{})
		require.NoError(t, err)
		secret, err := cluster.Client.CoreV1().Secrets("record").Get(t.Context(), "sh.helm.release.v1.r.v1", metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, corev1.SecretType("helm.sh/release.v1"), secret.Type)
		fields := configMap(t, "record").ManagedFields
		require.Len(t, fields, 1)
		assert.Equal(t, "helm", fields[0].Manager)
	})

	t.Run("an upgrade does not keep the values of the revision before", func(t *testing.T) {
		c := client(t, "upgrade")
		_, err := c.Install(t.Context(), "r", chart, map[string]any{"greeting": "hi"}, helm.ReleaseOptions{})
		require.NoError(t, err)
		rel, err := c.Upgrade(t.Context(), "r", chart, nil, helm.ReleaseOptions{Wait: true})
		require.NoError(t, err)
		assert.Equal(t, 2, rel.Revision)
		assert.Equal(t, "It says hello.\n", rel.Notes)
		assert.Equal(t, "hello", configMap(t, "upgrade").Data["greeting"])
	})

	t.Run("a rollback makes a new revision of an earlier one", func(t *testing.T) {
		c := client(t, "rollback")
		for i, greeting := range []string{"one", "two", "three"} {
			values := map[string]any{"greeting": greeting}
			if i == 0 {
				_, err = c.Install(t.Context(), "r", chart, values, helm.ReleaseOptions{})
			} else {
				_, err = c.Upgrade(t.Context(), "r", chart, values, helm.ReleaseOptions{})
			}
			require.NoError(t, err)
		}
		rel, err := c.Rollback("r", 1, helm.ReleaseOptions{Wait: true})
		require.NoError(t, err)
		assert.Equal(t, 4, rel.Revision)
		assert.Equal(t, "deployed", rel.Status)
		assert.Equal(t, "It says one.\n", rel.Notes)
		assert.Equal(t, "one", configMap(t, "rollback").Data["greeting"])
		rel, err = c.Rollback("r", 0, helm.ReleaseOptions{})
		require.NoError(t, err)
		assert.Equal(t, "It says three.\n", rel.Notes)
	})

	t.Run("an uninstall deletes the objects and the record", func(t *testing.T) {
		c := client(t, "uninstall")
		_, err := c.Install(t.Context(), "r", chart, nil, helm.ReleaseOptions{})
		require.NoError(t, err)
		require.NoError(t, c.Uninstall("r", helm.ReleaseOptions{Wait: true}))
		_, err = cluster.Client.CoreV1().ConfigMaps("uninstall").Get(t.Context(), "r", metav1.GetOptions{})
		assert.True(t, apierrors.IsNotFound(err), err)
		secrets, err := cluster.Client.CoreV1().Secrets("uninstall").List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		assert.Empty(t, secrets.Items)
		assert.EqualError(t, c.Uninstall("r", helm.ReleaseOptions{}),
			"uninstalling release uninstall/r: uninstall: Release not loaded: r: release: not found")
	})

	t.Run("with wait, pods that do not become ready fail an install", func(t *testing.T) {
		c := client(t, "wait")
		_, err := c.Install(t.Context(), "r", chart, map[string]any{"replicas": 1}, helm.ReleaseOptions{Wait: true, Timeout: time.Second})
		assert.EqualError(t, err, "installing release wait/r: context deadline exceeded")
	})

	t.Run("what keeps a chart from being changed is told", func(t *testing.T) {
		c := client(t, "missing")
		_, err := c.Upgrade(t.Context(), "r", chart, nil, helm.ReleaseOptions{})
		assert.EqualError(t, err, `upgrading release missing/r: "r" has no deployed releases`)
		_, err = c.Rollback("r", 1, helm.ReleaseOptions{})
		assert.EqualError(t, err, "rolling back release missing/r: release: not found")
	})

	left, err := os.ReadDir(home)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestNew(t *testing.T) {
	t.Run("a kubeconfig that is not there is reported", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		_, err := helm.New(path, "default")
		assert.EqualError(t, err, "reading kubeconfig "+path+": stat "+path+": no such file or directory")
	})
}
