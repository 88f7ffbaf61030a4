// Package lifecycle installs the chart on a real API server and lets its certificates age, change and get lost under load:
// what is counted is admission requests that failed meanwhile.
package lifecycle

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

const replicas = 3

// env is the cluster that the tests of this package share.
var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{}, &env) }

// component is what bootstrap is told of a subchart.
type component struct {
	deployment, subchart string
	configurations       []string // flags
}

var components = []component{
	{
		"kthena-registry", "registry",
		[]string{
			"--mutating-webhook-configuration=kthena-registry-mutating-webhook",
			"--validating-webhook-configuration=kthena-registry-validating-webhook",
		},
	},
	{"kthena-workload", "workload", []string{"--validating-webhook-configuration=kthena-workload-validating-webhook"}},
	{"kthena-router", "networking", []string{"--validating-webhook-configuration=kthena-networking-validating-webhook"}},
}

// bootstrap runs the program as a person does from a machine of their own, without an output folder, and returns the line
// that it ends with.
func (c component) bootstrap(t *testing.T, e *charttest.Environment, namespace string, more ...string) string {
	t.Helper()
	service := c.subchart + "-webhook." + namespace + ".svc"
	args := append([]string{
		"bootstrap", "--kubeconfig", e.Kubeconfig, "--namespace", namespace, "--secret-name", c.subchart + "-webhook-certs-auto",
		"--dns-name", service, "--dns-name", service + ".cluster.local",
	}, c.configurations...)
	cmd := exec.CommandContext(t.Context(), e.Program("kthena-certgen"), append(args, more...)...)
	line, err := cmd.Output()
	require.NoError(t, err)
	return string(line)
}
