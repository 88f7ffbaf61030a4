package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// What a roll costs the API server: each new pod reads its Secret and its webhook configurations once, and writes nothing.
func TestARollOnlyReadsEachObjectOnceForEachPod(t *testing.T) {
	i := env.Install(t, charttest.Replicas(replicas))
	begun := time.Now()
	i.Restart(t)
	took := time.Since(begun)
	for _, c := range components {
		d, err := env.Client.AppsV1().Deployments(i.Namespace).Get(t.Context(), c.deployment, metav1.GetOptions{})
		require.NoError(t, err)
		all, err := env.Requests("system:serviceaccount:" + i.Namespace + ":" + d.Spec.Template.Spec.ServiceAccountName)
		require.NoError(t, err)
		var since []localcluster.Request
		for _, r := range all {
			if r.Time.After(begun) {
				since = append(since, r)
			}
		}
		pods := int(*d.Spec.Replicas)
		want := map[string]int{"get secrets 200": pods, "get validatingwebhookconfigurations 200": pods}
		if c.subchart == "registry" {
			want["get mutatingwebhookconfigurations 200"] = pods
		}
		assert.Equal(t, want, localcluster.Count(since), c.deployment)
		t.Logf("%s, %d pods, rolled together with the others in %s: %d requests", c.deployment, pods, took.Round(10*time.Millisecond), len(since))
	}
}
