package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// An upgrade from manual mode makes Helm delete the bundle that the revision before had. A release that Helm knows no revision of
// has nothing that is deleted: what is there is taken over as it is. See docs/switching-modes.md, from manual mode.
func TestManualModeIsLeftWithoutAGap(t *testing.T) {
	modes := []string{charttest.Auto, charttest.CertManager}
	if testing.Short() {
		modes = modes[:1]
	}
	for _, to := range modes {
		t.Run("to "+to, func(t *testing.T) {
			i := env.Prepare(t)
			i.Install(t, inManualMode(3, i.CreateOwnSecrets(t)))
			t.Log(measure(t, i, step{"manual -> " + to + ", history put aside", false, func(t *testing.T) {
				history := metav1.ListOptions{LabelSelector: "owner=helm,name=" + charttest.Release}
				require.NoError(t, env.Client.CoreV1().Secrets(i.Namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, history))
				i.Install(t, inMode(to, 3))
				i.Restart(t) // what the API server trusts holds for pods that start later, too
			}}))
			i.RequireNoRestarts(t)
			// From here on the release is like any other.
			i.Upgrade(t, inMode(to, 2))
			requireAdmission(t, i)
		})
	}
}
