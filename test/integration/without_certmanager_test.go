package integration

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func TestAClusterWithoutCertManagerStopsTheInstall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client, err := helm.New(cluster.Kubeconfig, s.namespace)
	require.NoError(t, err)
	values := map[string]any{"global": map[string]any{"certManagementMode": "cert-manager"}}
	_, err = client.Install(t.Context(), "kthena", filepath.Join("..", "..", "charts", "kthena"), values, helm.ReleaseOptions{})
	require.ErrorContains(
		t, err, "ERROR: the cluster does not serve cert-manager.io/v1: install cert-manager first, or set global.certManagementMode to auto",
	)
	releases, err := cluster.Client.CoreV1().Secrets(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	require.NoError(t, err)
	assert.Empty(t, releases.Items)
}
