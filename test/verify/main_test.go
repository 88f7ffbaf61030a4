// Package verify runs kthena-certgen verify against releases on a real API server: healthy ones, which give no findings,
// and ones with every fault that it must name.
package verify

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// The exit codes of the program.
const (
	exitOK       = 0
	exitFailed   = 1
	exitTimeout  = 4
	exitExpiring = 5
	exitBroken   = 6
)

var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{CertManager: true}, &env) }

// settling is how long a cluster may take to show a change: its caches, cert-manager and, where it is a real one, its kubelet,
// which starts containers more slowly.
func settling() time.Duration {
	if *charttest.Connected {
		return 3 * time.Minute
	}
	return 20 * time.Second
}

// result is what one run of the program came to.
type result struct {
	code   int
	report verify.Report
	stdout string
	stderr string
}

// run runs the program with a kubeconfig, as a user outside the cluster does.
func run(t *testing.T, kubeconfig, namespace string, args ...string) result {
	t.Helper()
	args = append([]string{"verify", "--kubeconfig", kubeconfig, "--namespace", namespace, "--output", "json"}, args...)
	cmd := exec.CommandContext(t.Context(), env.Program("kthena-certgen"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	require.IsType(t, &os.ProcessState{}, cmd.ProcessState, "%v", err)
	r := result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	if stdout.Len() > 0 {
		require.NoError(t, json.Unmarshal(stdout.Bytes(), &r.report), "%s", r.stdout)
	}
	return r
}

// requireHealthy requires that a release has no findings.
func requireHealthy(t *testing.T, r result) {
	t.Helper()
	require.Equal(t, exitOK, r.code, "%s%s", r.stdout, r.stderr)
	assert.Empty(t, r.report.Findings)
	assert.Empty(t, r.stderr)
	assert.Equal(t, verify.VerdictOK, r.report.Verdict)
}
