package verify

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
	"github.com/volcano-sh/kthena-certgen/pkg/verify"
)

// routerTLS are values that let the router serve TLS.
var routerTLS = map[string]any{"networking": map[string]any{"kthenaRouter": map[string]any{
	"tls": map[string]any{"enabled": true, "dnsName": "models.example.com"},
}}}

// installed installs a healthy release in a mode, with TLS at the router.
func installed(t *testing.T, mode string, replicas int) *charttest.Installation {
	t.Helper()
	i := env.Prepare(t)
	values := charttest.InMode(mode, replicas)
	if mode == charttest.Manual {
		values = charttest.InManualMode(replicas, i.CreateOwnSecrets(t))
		i.CreateOwnSecret(t, "kthena-router-tls", "models.example.com", "kthena-router."+i.Namespace+".svc")
	}
	all := charttest.PerComponent(map[string]any{"replicas": replicas})
	i.Install(t, charttest.Merged(charttest.Merged(values, all), routerTLS))
	i.RequireAdmission(t, charttest.Entries)
	awaitEndpoints(t, i.Namespace, replicas)
	return i
}

// awaitEndpoints waits until every Service leads to all of its pods, which is a moment after they are ready.
func awaitEndpoints(t *testing.T, namespace string, replicas int) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		slices, err := env.Client.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, s := range slices.Items {
			ready := 0
			for _, e := range s.Endpoints {
				if ptr.Deref(e.Conditions.Ready, false) {
					ready++
				}
			}
			assert.Equal(c, replicas, ready, s.Name)
		}
	}, time.Minute, 50*time.Millisecond)
}

func TestAHealthyReleaseHasNoFindings(t *testing.T) {
	for _, mode := range charttest.Modes {
		t.Run("in mode "+mode, func(t *testing.T) {
			i := installed(t, mode, 2)
			begun := time.Now()
			r := run(t, env.Kubeconfig, i.Namespace)
			t.Logf("verify took %s", time.Since(begun).Round(time.Millisecond))
			requireHealthy(t, r)
			assertSeen(t, r.report, mode)
			t.Run("with the rights of helm test, and stores nothing", func(t *testing.T) { withRightsOfHelmTest(t, i) })
			t.Run("and helm test says so", func(t *testing.T) {
				var logs bytes.Buffer
				require.NoError(t, i.Helm.Test(charttest.Release, &logs, charttest.Wait), "%s", logs.String())
				assert.Contains(t, logs.String(), "Release kthena in namespace "+i.Namespace+", mode "+mode+": ok: every certificate is trusted, and none expires soon")
				assert.Contains(t, logs.String(), "validate-modelserving.workload.serving.volcano.sh")
			})
		})
	}
}

// assertSeen asserts that a report of a healthy release with TLS at the router, and two replicas of everything, is complete.
func assertSeen(t *testing.T, r verify.Report, mode string) {
	t.Helper()
	assert.Equal(t, mode, r.Mode)
	require.Len(t, r.Webhooks, charttest.Entries)
	for _, w := range r.Webhooks {
		want := verify.AnsweredBoth
		if w.Kind == "MutatingWebhookConfiguration" {
			want = verify.Answered
		}
		assert.Equal(t, want, w.Admission, w.Name)
		assert.NotNil(t, w.NotAfter, w.Name)
		assert.NotEmpty(t, w.BundleManagers, w.Name)
	}
	origins := map[string]string{charttest.Auto: "kthena-certgen", charttest.CertManager: "cert-manager", charttest.Manual: "user"}
	require.Len(t, r.Servers, 4)
	for _, s := range r.Servers {
		require.Len(t, s.Endpoints, 2, s.Name)
		for _, e := range s.Endpoints {
			assert.Equal(t, s.Secret.Certificate, e.Certificate, "%s serves what its Secret holds", e.Pod)
		}
		assert.Equal(t, origins[mode], s.Secret.Origin, s.Name)
	}
}
