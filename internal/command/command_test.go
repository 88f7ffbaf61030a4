package command

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// call runs the program and returns its exit code and what it printed.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(t.Context(), "v1.2.3", args, &out, &err)
	return code, out.String(), err.String()
}

func TestBadInputIsRefusedInOneLine(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("no kubeconfig"), 0o600))
	const hint = " (see 'kthena-certgen bootstrap --help')\n"
	for name, tc := range map[string]struct {
		args []string // after the required flags of bootstrap
		want string
	}{
		"an unknown flag": {[]string{"--nope"}, "unknown flag: --nope" + hint},
		"an argument":     {[]string{"now"}, `unknown command "now" for "kthena-certgen bootstrap"` + hint},
		"no namespace":    {[]string{"--namespace="}, "--namespace is required: name the namespace of the Secret" + hint},
		"a malformed namespace": {
			[]string{"--namespace=A_B"}, `--namespace "A_B" is not a namespace: a lowercase RFC 1123 label must consist of`,
		},
		"no Secret": {[]string{"--secret-name="}, "--secret-name is required: name the Secret" + hint},
		"a malformed Secret": {
			[]string{"--secret-name=a/b"}, `--secret-name "a/b" is not a name: a lowercase RFC 1123 subdomain must consist of`,
		},
		"an empty DNS name": {[]string{"--dns-name=a,,b"}, "--dns-name: a DNS name must not be empty" + hint},
		"a malformed DNS name": {
			[]string{"--dns-name=*.svc"},
			`--dns-name: DNS name "*.svc" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots` + hint,
		},
		"a DNS name that is an IP address": {
			[]string{"--dns-name=10.0.0.1"}, `--dns-name: DNS name "10.0.0.1" is an IP address: use a name` + hint,
		},
		"a DNS name of nothing": {
			[]string{"--dns-name=", "--dns-name=a"},
			`invalid argument "" for "--dns-name" flag: it is empty: name one, or leave the flag out` + hint,
		},
		"a mutating configuration of nothing": {
			[]string{"--mutating-webhook-configuration", ""},
			`invalid argument "" for "--mutating-webhook-configuration" flag: it is empty: name one, or leave the flag out` + hint,
		},
		"a configuration of nothing": {
			[]string{"--validating-webhook-configuration=a", "--validating-webhook-configuration="},
			`invalid argument "" for "--validating-webhook-configuration" flag: it is empty: name one, or leave the flag out` + hint,
		},
		"a malformed mutating configuration": {
			[]string{"--mutating-webhook-configuration=A"}, `--mutating-webhook-configuration "A" is not a name: `,
		},
		"a malformed configuration": {
			[]string{"--validating-webhook-configuration=a..b"}, `--validating-webhook-configuration "a..b" is not a name: `,
		},
		"a folder that does not exist": {
			[]string{"--output-dir=" + file + "s"},
			"--output-dir: an existing folder that can be written to is needed: stat " + file + "s: no such file or directory" + hint,
		},
		"a folder that is a file": {
			[]string{"--output-dir=" + file},
			"--output-dir: an existing folder that can be written to is needed: open " + file + ": not a directory" + hint,
		},
		"a folder that cannot be written to": {
			[]string{"--output-dir=/proc/self"}, "--output-dir: an existing folder that can be written to is needed: open /proc/self/..check.",
		},
		"a malformed label": {[]string{"--label=a b=c"}, `--label: Invalid value: "a b": name part must consist of`},
		"a malformed annotation": {
			[]string{"--await-annotation=a b=c"}, `--await-annotation "a b" is not an annotation's key: name part must consist of`,
		},
		"a negative patience": {
			[]string{"--webhook-patience=-1s"}, "--webhook-patience -1s is not allowed: use 0 or more" + hint,
		},
		"a malformed annotation's key": {
			[]string{"--annotation=a b=c"}, `--annotation "a b" is not an annotation's key: name part must consist of`,
		},
		"an annotation without a value": {[]string{"--annotation=a"}, `--annotation "a" has no value: write key=value` + hint},
		"a label without a value": {
			[]string{"--label=a"}, `invalid argument "a" for "--label" flag: a must be formatted as key=value` + hint,
		},
		"a negative validity": {
			[]string{"--validity=-1h"}, "--validity: a validity of -1h0m0s is not allowed: use 1h to 876000h" + hint,
		},
		"a validity below an hour": {
			[]string{"--validity=59m"}, "--validity: a validity of 59m0s is not allowed: use 1h to 876000h" + hint,
		},
		"a validity without a unit": {
			[]string{"--validity=3650"}, `invalid argument "3650" for "--validity" flag: time: missing unit in duration "3650"` + hint,
		},
		"an unknown key algorithm": {
			[]string{"--key-algorithm=DSA"}, `--key-algorithm, --key-size: key algorithm "DSA" is unknown: use ECDSA, RSA, Ed25519` + hint,
		},
		"a key size that does not exist": {
			[]string{"--key-size=1"}, "--key-algorithm, --key-size: key size 1 is not allowed for ECDSA: use 256, 384" + hint,
		},
		"no time at all":        {[]string{"--timeout=0s"}, "--timeout 0s is not allowed: use more than 0" + hint},
		"an unknown log format": {[]string{"--log-format=xml"}, `--log-format "xml" is unknown: use text or json` + hint},
		"a kubeconfig that does not exist": {
			[]string{"--kubeconfig=" + file + "s"}, "--kubeconfig: reading the kubeconfig: stat " + file + "s: no such file or directory" + hint,
		},
		"a kubeconfig that is none": {
			[]string{"--kubeconfig=" + file}, `--kubeconfig: reading the kubeconfig: error loading config file "` + file + `": `,
		},
		"nothing to find the API server by": {
			nil, "this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no ~/.kube/config: name a kubeconfig file" + hint,
		},
		"a renewal before the beginning": {
			[]string{"--validity=24h", "--renew-before=24h"},
			"--renew-before 24h0m0s is not allowed: use 0 to 23h59m30s, 30s less than --validity" + hint,
		},
		"a renewal right after the beginning": {
			[]string{"--validity=24h", "--renew-before=23h59m31s"},
			"--renew-before 23h59m31s is not allowed: use 0 to 23h59m30s, 30s less than --validity" + hint,
		},
		"a renewal as early as is allowed": {
			[]string{"--validity=24h", "--renew-before=23h59m30s", "--label=a b=c"}, `--label: Invalid value: "a b": name part must consist of`,
		},
		"a negative renewal": {
			[]string{"--renew-before=-1s"}, "--renew-before -1s is not allowed: use 0 to 87599h59m30s, 30s less than --validity" + hint,
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"bootstrap", "--namespace=ns", "--secret-name=certs"}, tc.args...)
			if !strings.HasPrefix(strings.Join(tc.args, " "), "--dns-name") {
				args = append(args, "--dns-name=a.ns.svc")
			}
			code, stdout, stderr := call(t, args...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, stdout)
			assert.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+tc.want), "got: %s", stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
		})
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"two names": {
			[]string{"--mutating-webhook-configuration=A", "--validating-webhook-configuration=B", "--secret-name=C"},
			`--secret-name "C" is not a name: `,
		},
		"two annotations": {
			[]string{"--await-annotation=c =x", "--await-annotation=a =x", "--await-annotation=b =x"},
			`--await-annotation "a " is not an annotation's key: `,
		},
		"two labels": {[]string{"--label=c =x", "--label=a =x", "--label=b =x"}, `--label: Invalid value: "a ": `},
	} {
		t.Run("the first of "+name+", whenever it is asked", func(t *testing.T) {
			for range 20 {
				_, _, stderr := call(t, append([]string{"bootstrap", "--namespace=ns", "--secret-name=certs", "--dns-name=a.ns.svc"}, tc.args...)...)
				require.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+tc.want), "got: %s", stderr)
			}
		})
	}
	t.Run("no DNS name", func(t *testing.T) {
		code, _, stderr := call(t, "bootstrap", "--namespace=ns", "--secret-name=certs")
		assert.Equal(t, exitUsage, code)
		assert.Equal(t, "kthena-certgen: error: --dns-name is required: name at least one DNS name of the server"+hint, stderr)
	})
	t.Run("KUBECONFIG names no file", func(t *testing.T) {
		t.Setenv("KUBECONFIG", file+"s")
		code, _, stderr := call(t, "bootstrap", "--namespace=ns", "--secret-name=certs", "--dns-name=a")
		assert.Equal(t, exitUsage, code)
		assert.Equal(t, "kthena-certgen: error: KUBECONFIG: "+file+"s: there is no kubeconfig, or it is empty"+hint, stderr)
	})
	for name, tc := range map[string]struct {
		args []string // after the required flags
		want string
	}{
		"a malformed namespace": {
			[]string{"--namespace=A_B"}, `--namespace "A_B" is not a namespace: a lowercase RFC 1123 label must consist of`,
		},
		"no Helm release": {
			[]string{"--release="}, `--release "" is not the name of a release: a lowercase RFC 1123 subdomain must consist of`,
		},
		"a malformed Helm release": {
			[]string{"--release=a,b"}, `--release "a,b" is not the name of a release: a lowercase RFC 1123 subdomain must consist of`,
		},
		"no time at all": {[]string{"--timeout=0s"}, "--timeout 0s is not allowed: use more than 0"},
		"no API server": {
			nil, "this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no ~/.kube/config: name a kubeconfig file",
		},
		"an unknown output": {[]string{"--output=der"}, `--output "der" is unknown: use pem or base64`},
		"no file to add":    {[]string{"--add=nowhere.crt"}, "--add: open nowhere.crt: no such file or directory"},
		"a file without CAs": {
			[]string{"--add=command_test.go"}, "--add: command_test.go holds no certificate that the API server would read: it has to be PEM",
		},
	} {
		for _, command := range []string{"ca-bundle", "release"} {
			if command == "release" && slices.Contains([]string{"an unknown output", "no file to add", "a file without CAs"}, name) {
				continue
			}
			t.Run(name+" of "+command, func(t *testing.T) {
				code, stdout, stderr := call(t, append([]string{command, "--namespace=ns", "--release=kthena"}, tc.args...)...)
				assert.Equal(t, exitUsage, code)
				assert.Empty(t, stdout)
				assert.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+tc.want), "got: %s", stderr)
				assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
			})
		}
	}
	t.Run("an unknown subcommand", func(t *testing.T) {
		code, _, stderr := call(t, "bootstrp")
		assert.Equal(t, exitUsage, code)
		assert.Equal(t, "kthena-certgen: error: unknown command \"bootstrp\" for \"kthena-certgen\" (see 'kthena-certgen --help')\n", stderr)
	})
}

func TestVerifyRefusesBadFlagsInOneLine(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("HOME", t.TempDir())
	const hint = " (see 'kthena-certgen verify --help')\n"
	for name, tc := range map[string]struct {
		arg  string
		want string
	}{
		"a malformed namespace": {
			"--namespace=A_B", `--namespace "A_B" is not a namespace: a lowercase RFC 1123 label must consist of`,
		},
		"a malformed release": {
			"--release=a/b", `--release "a/b" is not the name of a release: a lowercase RFC 1123 subdomain must consist of`,
		},
		"a negative time": {"--warn-within=-1h", "--warn-within -1h0m0s is not allowed: use 0 or more" + hint},
		"an unknown form": {"--output=xml", `--output "xml" is unknown: use table, json or yaml` + hint},
		"no time at all":  {"--timeout=0s", "--timeout 0s is not allowed: use more than 0" + hint},
		"nothing to find the API server by": {
			"--release=r",
			"this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no ~/.kube/config: name a kubeconfig file" + hint,
		},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "verify", "--namespace=ns", tc.arg)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, stdout)
			assert.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+tc.want), "got: %s", stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
		})
	}
}

func TestTheVerdictOfVerifyIsTheExitCode(t *testing.T) {
	broken := verify.Report{Release: "r", Namespace: "ns", Verdict: verify.VerdictBroken}
	for name, tc := range map[string]struct {
		report verify.Report
		code   int
		want   string
	}{
		"all is well": {verify.Report{Verdict: verify.VerdictOK}, exitDone, ""},
		"a certificate expires soon": {
			verify.Report{Release: "r", Verdict: verify.VerdictExpiring}, exitExpiring, "a certificate of release r expires soon: see the findings",
		},
		"something is broken": {broken, exitBroken, "release r is broken: see the findings"},
		"not everything could be seen": {
			verify.Report{Release: "r", Namespace: "ns", Verdict: verify.VerdictIncomplete, MissingRights: []string{"get secrets a", "list b"}},
			exitFailed,
			"verifying release r in namespace ns was not possible in full: these rights are missing, grant them to whom the kubeconfig or the " +
				"pod names: get secrets a, list b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := conclude(tc.report)
			if tc.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tc.want)
			assert.Equal(t, tc.code, exitCode(runError{err}))
		})
	}
	t.Run("broken counts for more than what could not be seen", func(t *testing.T) {
		broken.MissingRights = []string{"get secrets a"}
		assert.Equal(t, exitBroken, exitCode(runError{conclude(broken)}))
	})
}

func TestVerifyPrintsJSONAndYAMLOfOneForm(t *testing.T) {
	report := verify.Report{Schema: verify.Schema, Findings: []verify.Finding{{Code: verify.Stale, Remedy: "a && b"}}}
	var asJSON, asYAML bytes.Buffer
	require.NoError(t, (&verifyOptions{output: outputJSON}).print(&asJSON, report))
	require.NoError(t, (&verifyOptions{output: outputYAML}).print(&asYAML, report))
	assert.Contains(t, asJSON.String(), `"remedy": "a && b"`, "a command can be copied")
	assert.YAMLEq(t, asJSON.String(), asYAML.String())
}

func TestHelpAndVersion(t *testing.T) {
	for name, args := range map[string][]string{
		"without arguments": nil,
		"when asked":        {"--help"},
		"of a subcommand":   {"bootstrap", "--help"},
	} {
		t.Run("help is printed "+name, func(t *testing.T) {
			code, stdout, stderr := call(t, args...)
			assert.Equal(t, exitDone, code)
			assert.Contains(t, stdout, "Usage:")
			assert.Empty(t, stderr)
		})
	}
	code, stdout, stderr := call(t, "completion", "bash")
	assert.Equal(t, exitDone, code)
	assert.Contains(t, stdout, "# bash completion V2 for kthena-certgen")
	assert.Empty(t, stderr)
	code, stdout, stderr = call(t, "version")
	assert.Equal(t, exitDone, code)
	assert.Equal(t, "v1.2.3\n", stdout)
	assert.Empty(t, stderr)
}

func TestNamespaceAndOutputAreAsShortAsThoseOfKubectl(t *testing.T) {
	found := map[string]int{}
	for _, cmd := range New("v1.2.3").Commands() {
		for name, shorthand := range map[string]string{"namespace": "n", "output": "o"} {
			if flag := cmd.Flags().Lookup(name); flag != nil {
				assert.Equal(t, shorthand, flag.Shorthand, "--%s of %s", name, cmd.Name())
				found[name]++
			}
		}
	}
	assert.Equal(t, map[string]int{"namespace": 6, "output": 3}, found)
}
