//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// deployments are those of the subcharts.
var deployments = map[string]string{"registry": "kthena-registry", "workload": "kthena-workload", "networking": "kthena-router"}

// Where the controller mounts the Secrets it learns of a renewal when the kubelet does.
func TestWhatIsRenewedIsServedWithNobodyActing(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			i := prepare(t)
			var trusted []byte
			if mode == charttest.Manual {
				trusted = append(i.CreateOwnSecrets(t), createNext(t, i)...)
			}
			i.Install(t, values(mode, trusted))
			i.RequireAdmission(t, charttest.Entries)
			before := map[string]string{}
			generations := map[string]int64{}
			for subchart := range deployments {
				before[subchart] = stored(t.Context(), t, i, mode, subchart)
				generations[subchart], _ = rolledTo(t.Context(), t, i, subchart)
			}

			p := i.Probe(t, rate)
			begun := time.Now()
			for subchart := range deployments {
				renew(t, i, mode, subchart)
			}
			for subchart := range deployments {
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					now := stored(t.Context(), c, i, mode, subchart)
					assert.NotEqual(c, before[subchart], now)
					_, to := rolledTo(t.Context(), c, i, subchart)
					assert.Equal(c, now, to)
				}, timeout, tick, "%s is rolled to what its Secret holds", subchart)
			}
			i.Settle(t)
			t.Logf("renewed and served by all within %s", time.Since(begun).Round(time.Second))
			charttest.AssertNoneFailed(t, p.Stop())
			for subchart, generation := range generations {
				now, _ := rolledTo(t.Context(), t, i, subchart)
				assert.Equal(t, generation+1, now, "%s is rolled once", subchart)
			}
			requirePods(t, i)
			var logs bytes.Buffer
			err := i.Helm.Test(charttest.Release, &logs, helm.ReleaseOptions{Timeout: timeout})
			require.NoError(t, err, "%s", logs.String())
		})
	}
}

// secretOf is the name of the Secret of a subchart.
func secretOf(mode, subchart string) string {
	switch mode {
	case charttest.Auto:
		return subchart + "-webhook-certs-auto"
	case charttest.CertManager:
		return subchart + "-webhook-certs"
	}
	return charttest.OwnSecret(subchart)
}

// next is the name of a Secret with what will replace that of a subchart in manual mode.
func next(subchart string) string { return "next-" + subchart + "-certs" }

// createNext makes what will replace the Secrets of manual mode and returns the CAs.
func createNext(t *testing.T, i *charttest.Installation) []byte {
	t.Helper()
	var bundle []byte
	for subchart := range deployments {
		name := subchart + "-webhook." + i.Namespace + ".svc"
		bundle = append(bundle, i.CreateOwnSecret(t, next(subchart), name, name+".cluster.local")...)
	}
	return bundle
}

// renew makes another certificate for a subchart, as whoever does so in that mode.
func renew(t *testing.T, i *charttest.Installation, mode, subchart string) {
	t.Helper()
	secrets := env.Client.CoreV1().Secrets(i.Namespace)
	switch mode {
	case charttest.Auto:
		// The controller makes the next one.
		require.NoError(t, secrets.Delete(t.Context(), secretOf(mode, subchart), metav1.DeleteOptions{}))
	case charttest.CertManager:
		i.Reissue(t, subchart+"-webhook-cert")
	default:
		other, err := secrets.Get(t.Context(), next(subchart), metav1.GetOptions{})
		require.NoError(t, err)
		patch, err := json.Marshal(map[string]any{"data": other.Data})
		require.NoError(t, err)
		_, err = secrets.Patch(t.Context(), secretOf(mode, subchart), types.MergePatchType, patch, metav1.PatchOptions{})
		require.NoError(t, err)
	}
}

// stored is the fingerprint of the certificate that a Secret holds, empty when there is none.
func stored(ctx context.Context, t require.TestingT, i *charttest.Installation, mode, subchart string) string {
	s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(ctx, secretOf(mode, subchart), metav1.GetOptions{})
	require.NoError(t, err)
	chain, _ := gen.ParseCertificates(s.Data[corev1.TLSCertKey])
	require.NotEmpty(t, chain)
	return gen.Fingerprint(chain[0])
}

// rolledTo is the generation of a subchart's Deployment, and what the controller has rolled it to last.
func rolledTo(ctx context.Context, t require.TestingT, i *charttest.Installation, subchart string) (generation int64, fingerprint string) {
	d, err := env.Client.AppsV1().Deployments(i.Namespace).Get(ctx, deployments[subchart], metav1.GetOptions{})
	require.NoError(t, err)
	return d.Generation, d.Spec.Template.Annotations["certgen.kthena.volcano.sh/certificate"]
}
