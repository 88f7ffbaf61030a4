package controller

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// configurations are the flags that name those of a subchart.
var configurations = map[string][]string{
	"registry": {
		"--mutating-webhook-configuration=kthena-registry-mutating-webhook",
		"--validating-webhook-configuration=kthena-registry-validating-webhook",
	},
	"workload":   {"--validating-webhook-configuration=kthena-workload-validating-webhook"},
	"networking": {"--validating-webhook-configuration=kthena-networking-validating-webhook"},
}

// force renews a certificate of auto mode before it is due, as a person does. That its pods serve it is the controller's.
func force(t *testing.T, i *charttest.Installation, subchart string) {
	t.Helper()
	service := subchart + "-webhook." + i.Namespace + ".svc"
	args := append([]string{
		"bootstrap", "--kubeconfig", env.Kubeconfig, "--namespace", i.Namespace, "--secret-name", autoSecret(subchart), "--force-renew",
		"--dns-name", service, "--dns-name", service + ".cluster.local",
	}, configurations[subchart]...)
	out, err := exec.CommandContext(t.Context(), env.Program("kthena-certgen"), args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
