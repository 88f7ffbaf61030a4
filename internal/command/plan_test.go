package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlanRefusesBadFlagsInOneLine(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("a: b: c\n  d"), 0o600))
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("-----BEGIN EC PRIVATE KEY-----\n"), 0o600))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no mode":         {nil, "--to is required: use auto, cert-manager, manual"},
		"an unknown mode": {[]string{"--to=magic"}, `--to "magic" is no mode: use auto, cert-manager, manual`},
		"manual mode without a CA": {
			[]string{"--to=manual", "--values=" + file}, "--to manual needs --values and --ca-cert: name what generate has written, or your own",
		},
		"manual mode without values": {
			[]string{"--to=manual", "--ca-cert=" + file}, "--to manual needs --values and --ca-cert: name what generate has written, or your own",
		},
		"a CA for another mode": {[]string{"--to=auto", "--ca-cert=" + file}, "--ca-cert is for --to manual alone"},
		"values that are not there": {
			[]string{"--to=auto", "--values=" + file + "s"}, "--values: open " + file + "s: no such file or directory",
		},
		"values that are none": {[]string{"--to=auto", "--values=" + file}, "--values: reading " + file + ": "},
		"a CA that is not there": {
			[]string{"--to=manual", "--values=/dev/null", "--ca-cert=" + file + "s"}, "--ca-cert: open " + file + "s: no such file or directory",
		},
		"a CA with its key": {
			[]string{"--to=manual", "--values=/dev/null", "--ca-cert=" + key}, "--ca-cert " + key + " holds a private key: name a file with ",
		},
		"a cluster": {
			[]string{"--to=auto", "--cluster=a"}, "--cluster and --user are not for plan: helm, which its commands call, has no such ",
		},
		"a user": {
			[]string{"--to=auto", "--user=a"}, "--cluster and --user are not for plan: helm, which its commands call, has no such ",
		},
		"no chart":              {[]string{"--to=auto", "--chart="}, "--chart is empty: name the chart"},
		"an unknown form":       {[]string{"--to=auto", "--output=yaml"}, `--output "yaml" is unknown: use text or json`},
		"no time at all":        {[]string{"--to=auto", "--timeout=0s"}, "--timeout 0s is not allowed: use more than 0"},
		"a malformed namespace": {[]string{"--to=auto", "--namespace=A_B"}, `--namespace "A_B" is not a namespace: `},
		"nothing to find the cluster by": {
			[]string{"--to=auto"},
			"this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no ~/.kube/config: name a kubeconfig file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, append([]string{"plan"}, tc.args...)...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, stdout)
			assert.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+tc.want), "got: %s", stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
		})
	}
}
