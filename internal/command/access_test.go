package command

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const kubeconfig = `{apiVersion: v1, kind: Config, current-context: one,
clusters: [{name: c1, cluster: {server: "https://127.0.0.1:1"}}, {name: c2, cluster: {server: "https://127.0.0.1:1"}}],
users: [{name: u1, user: {token: x}}, {name: sso, user: {auth-provider: {name: gcp, config: {}}}}],
contexts: [{name: two, context: {cluster: c2, user: u1}}, {name: one, context: {cluster: c1, user: u1}}]}`

func TestBadInputAboutTheConnectionIsRefusedInOneLine(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("config", kubeconfig)
	undecided := write("undecided", strings.Replace(kubeconfig, "current-context: one", `current-context: ""`, 1))
	dangling := write("dangling", strings.Replace(kubeconfig, "current-context: one", `current-context: three`, 1))
	bare := write("bare", `{apiVersion: v1, kind: Config, users: [{name: a, user: {token: x}}]}`)
	for name, tc := range map[string]struct {
		file string
		args []string
		want string
	}{
		"a context that is not there": {file, []string{"--context=three"}, `--context "three" is not in ` + file + ": use one, two"},
		"a cluster that is not there": {file, []string{"--cluster=c3"}, `--cluster "c3" is not in ` + file + ": use c1, c2"},
		"a user that is not there":    {file, []string{"--user=u2"}, `--user "u2" is not in ` + file + ": use sso, u1"},
		"a context where there is none": {
			bare, []string{"--context=a"}, `--context "a" is not in ` + bare + ": use another file, it has none",
		},
		"no context": {undecided, nil, undecided + " has no current context: choose one by --context: one, two"},
		"a current context that is not there": {
			dangling, nil, `the current context "three" is not in ` + dangling + ": choose one by --context: one, two",
		},
		"a time that is none": {
			file, []string{"--request-timeout=soon"}, `--request-timeout "soon" is not a time: use 0, or a number with a unit such as 30s`,
		},
		"a time before now": {
			file, []string{"--request-timeout=-1s"}, `--request-timeout "-1s" is not a time: use 0, or a number with a unit such as 30s`,
		},
		"a user of an auth provider": {
			file, []string{"--user=sso"},
			`--kubeconfig: using the kubeconfig: its user signs in by the auth provider "gcp", which is no more: have your cloud's tool write ` +
				`the kubeconfig anew`,
		},
	} {
		for _, command := range []string{"verify", "ca-bundle", "release"} {
			t.Run(name+" of "+command, func(t *testing.T) {
				code, stdout, stderr := call(t, append([]string{command, "--kubeconfig", tc.file}, tc.args...)...)
				assert.Equal(t, exitUsage, code)
				assert.Empty(t, stdout)
				assert.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+tc.want), "got: %s", stderr)
				assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
			})
		}
	}
}

func TestAnAPIServerThatIsNotOnesOwnIsExplainedInOneLine(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	strict := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401}`))
	}))
	defer strict.Close()
	gone := httptest.NewTLSServer(nil)
	gone.Close()
	for name, tc := range map[string]struct{ server, want string }{
		"one that cannot be reached":       {gone.URL, " cannot be reached, check the kubeconfig and whether it runs: "},
		"one that does not take the token": {strict.URL, " does not accept the credentials of the kubeconfig, renew them: "},
	} {
		text := strings.NewReplacer("https://127.0.0.1:1", tc.server, `"}}`, `", insecure-skip-tls-verify: true}}`).Replace(kubeconfig)
		file := filepath.Join(t.TempDir(), "config")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		for command, doing := range map[string]string{
			"verify": "verifying release", "plan --to=auto": "planning the switch of release", "ca-bundle": "finding release",
			"release": "finding release",
		} {
			t.Run(name+" of "+command, func(t *testing.T) {
				code, stdout, stderr := call(t, append(strings.Fields(command), "--kubeconfig", file)...)
				assert.Equal(t, exitFailed, code)
				assert.Empty(t, stdout)
				assert.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+doing+" kthena: the API server "+tc.server+tc.want), stderr)
				assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
			})
		}
	}
}
