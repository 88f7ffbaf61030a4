package command

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// controllerConfig is one that the controller takes.
const controllerConfig = `release: kthena
namespace: ns
mode: auto
roll: true
settle: 10s
retireAfter: 10m
warnWithin: 720h
validity: 87600h
renewBefore: 0s
privateKey: {algorithm: ECDSA, size: 0}
components:
- deployment: kthena-registry
  certificates:
  - service: registry-webhook
    port: webhook
    secret: certs
    dnsNames: [registry-webhook.ns.svc]
    validating: [kthena-registry-validating-webhook]
`

// write writes a file for the test and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestControllerRefusesBadInputInOneLine(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	const hint = " (see 'kthena-certgen controller --help')\n"
	const noAPIServer = "this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no ~/.kube/config: name a " +
		"kubeconfig file" + hint
	const component = "components:\n- deployment: kthena-registry\n  certificates:\n"
	certificates := controllerConfig[strings.Index(controllerConfig, component)+len(component):]
	for name, tc := range map[string]struct {
		// The configuration is controllerConfig with one text replaced by another.
		replace, by string
		args        []string
		// want is the error, in which FILE is the path of the configuration.
		want string
	}{
		"an unknown flag": {args: []string{"--nope"}, want: "unknown flag: --nope" + hint},
		"an argument":     {args: []string{"now"}, want: `unknown command "now" for "kthena-certgen controller"` + hint},
		"no configuration": {
			args: []string{"--config="}, want: "--config is required: name the file that says what to keep in order" + hint,
		},
		"one that does not exist": {
			args: []string{"--config=/proc/none"}, want: "reading the configuration: open /proc/none: no such file or directory" + hint,
		},
		"one that is a folder": {
			args: []string{"--config=/proc"}, want: "reading the configuration: read /proc: is a directory" + hint,
		},
		"an unknown log format": {args: []string{"--log-format=xml"}, want: `--log-format "xml" is unknown: use text or json` + hint},
		"metrics at no address": {
			args: []string{"--metrics-bind-address=foo"},
			want: `--metrics-bind-address "foo" is not an address: use HOST:PORT, :PORT, or 0 for none` + hint,
		},
		"metrics at a port alone": {
			args: []string{"--metrics-bind-address=8080"},
			want: `--metrics-bind-address "8080" is not an address: use HOST:PORT, :PORT, or 0 for none` + hint,
		},
		"metrics at no port": {
			args: []string{"--metrics-bind-address=:65536"},
			want: `--metrics-bind-address ":65536" is not an address: use HOST:PORT, :PORT, or 0 for none` + hint,
		},
		"probes at no address": {
			args: []string{"--health-probe-bind-address="},
			want: `--health-probe-bind-address "" is not an address: use HOST:PORT, :PORT, or 0 for none` + hint,
		},
		"a folder of no Secret": {
			args: []string{"--certificate-dir=/certs"},
			want: `invalid argument "/certs" for "--certificate-dir" flag: /certs must be formatted as key=value` + hint,
		},
		"nothing to find the API by": {want: noAPIServer},
		"an empty file": {
			replace: controllerConfig, want: `reading the configuration FILE: namespace "" is not a namespace` + hint,
		},
		"a file of another kind": {
			replace: controllerConfig, by: "certificates", want: "reading the configuration FILE: error unmarshaling JSON: ",
		},
		"a key that is there twice": {
			replace: "roll: true\n",
			by:      "roll: true\nroll: false\n",
			want: `reading the configuration FILE: error converting YAML to JSON: yaml: unmarshal errors: line 5: key "roll" already set in map` +
				hint,
		},
		"an unknown key": {
			replace: "roll:",
			by:      "rol:",
			want:    `reading the configuration FILE: error unmarshaling JSON: while decoding JSON: json: unknown field "rol"` + hint,
		},
		"an unknown key of a certificate": {
			replace: "port:",
			by:      "prot:",
			want:    `reading the configuration FILE: error unmarshaling JSON: while decoding JSON: json: unknown field "prot"` + hint,
		},
		"a value of another kind": {
			replace: "roll: true", by: "roll: often", want: "reading the configuration FILE: error unmarshaling JSON: ",
		},
		"a malformed namespace": {
			replace: "namespace: ns", by: "namespace: A_B", want: `reading the configuration FILE: namespace "A_B" is not a namespace` + hint,
		},
		"an unknown mode": {
			replace: "mode: auto",
			by:      "mode: magic",
			want:    `reading the configuration FILE: mode "magic" is unknown: use auto, cert-manager or manual` + hint,
		},
		"a negative settle time": {
			replace: "settle: 10s", by: "settle: -1s", want: "reading the configuration FILE: settle -1s is not allowed: use 0s or more" + hint,
		},
		"a negative time to retire": {
			replace: "retireAfter: 10m",
			by:      "retireAfter: -1m",
			want:    "reading the configuration FILE: retireAfter -1m0s is not allowed: use 0s or more" + hint,
		},
		"a negative time to warn": {
			replace: "warnWithin: 720h",
			by:      "warnWithin: -1h",
			want:    "reading the configuration FILE: warnWithin -1h0m0s is not allowed: use 0s or more" + hint,
		},
		"a time without a unit": {
			replace: "settle: 10s",
			by:      "settle: '10'",
			want:    "reading the configuration FILE: error unmarshaling JSON: while decoding JSON: time: missing unit in duration ",
		},
		"a negative renewal": {
			replace: "renewBefore: 0s",
			by:      "renewBefore: -1s",
			want:    "reading the configuration FILE: renewBefore -1s is not allowed: use 0s to less than validity (87600h0m0s)" + hint,
		},
		"a renewal before the beginning": {
			replace: "renewBefore: 0s",
			by:      "renewBefore: 87600h",
			want:    "reading the configuration FILE: renewBefore 87600h0m0s is not allowed: use 0s to less than validity (87600h0m0s)" + hint,
		},
		"a validity below an hour": {
			replace: "validity: 87600h",
			by:      "validity: 59m",
			want: "reading the configuration FILE: deployment kthena-registry: secret certs: a validity of 59m0s is not allowed: use 1h " +
				"to 876000h" + hint,
		},
		"a validity above a century": {
			replace: "validity: 87600h",
			by:      "validity: 876001h",
			want: "reading the configuration FILE: deployment kthena-registry: secret certs: a validity of 876001h0m0s is not allowed: use 1h " +
				"to 876000h" + hint,
		},
		"an unknown key algorithm": {
			replace: "ECDSA",
			by:      "DSA",
			want: `reading the configuration FILE: deployment kthena-registry: secret certs: key algorithm "DSA" is unknown: use ECDSA, ` +
				`RSA, Ed25519` + hint,
		},
		"no components": {
			replace: component + certificates,
			by:      "components: []\n",
			want:    "reading the configuration FILE: components is empty: name at least one" + hint,
		},
		"a component of no name": {
			replace: "kthena-registry\n", by: "''\n", want: `reading the configuration FILE: deployment "" is not a name` + hint,
		},
		"a component of no certificates": {
			replace: "certificates:\n" + certificates,
			by:      "certificates: []\n",
			want:    "reading the configuration FILE: deployment kthena-registry has no certificates: name at least one, or leave it out" + hint,
		},
		"a certificate of no Secret": {
			replace: "secret: certs", by: "secret: ''", want: `reading the configuration FILE: deployment kthena-registry: "" is not a name` + hint,
		},
		"a component that is there twice": {replace: certificates, by: certificates + "- deployment: kthena-registry\n  certificates:\n" +
			strings.Replace(certificates, "secret: certs", "secret: others", 1),
			want: "reading the configuration FILE: deployment kthena-registry is there twice: name each once" + hint},
		"a Secret of two certificates": {
			replace: certificates,
			by:      certificates + certificates,
			want:    "reading the configuration FILE: secret certs is there twice: give each certificate its own" + hint,
		},
		"a certificate of no port": {
			replace: "port: webhook",
			by:      "port: ''",
			want:    "reading the configuration FILE: deployment kthena-registry: service registry-webhook has no port: give the name of one" + hint,
		},
		"a certificate of no DNS name": {
			replace: "[registry-webhook.ns.svc]", by: "[]", want: "reading the configuration FILE: deployment kthena-registry: secret certs: ",
		},
		"no folder in manual mode": {
			replace: "mode: auto",
			by:      "mode: manual",
			want:    "reading the configuration FILE: secret certs has no folder: say where it is mounted by --certificate-dir" + hint,
		},
		"no folder in cert-manager mode": {
			replace: "mode: auto",
			by:      "mode: cert-manager",
			args:    []string{"--certificate-dir=others=/certs"},
			want:    "reading the configuration FILE: secret certs has no folder: say where it is mounted by --certificate-dir" + hint,
		},
		"what is manual mode's though": {
			replace: "mode: auto", by: "mode: manual", args: []string{"--certificate-dir=certs=/certs"}, want: noAPIServer,
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, controllerConfig, tc.replace)
			config := write(t, "config.yaml", strings.Replace(controllerConfig, tc.replace, tc.by, 1))
			code, stdout, stderr := call(t, append([]string{"controller", "--config=" + config}, tc.args...)...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, stdout)
			want := "kthena-certgen: error: " + strings.Replace(tc.want, "FILE", config, 1)
			assert.True(t, strings.HasPrefix(stderr, want), "want: %sgot: %s", want, stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
		})
	}
}

func TestControllerEndsWhenItCannotOpenAPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	address := taken.Addr().String()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		Clusters:       map[string]*api.Cluster{"c": {Server: "https://127.0.0.1:1"}},
		Contexts:       map[string]*api.Context{"x": {Cluster: "c"}},
		CurrentContext: "x",
	}, kubeconfig))
	for name, tc := range map[string]struct {
		metrics, probes, want string
	}{
		"of the metrics, which is in use": {
			address, off, "--metrics-bind-address: opening the port: listen tcp " + address + ": bind: address already in use\n",
		},
		"of the probes, which is in use": {
			"127.0.0.1:0", address, "--health-probe-bind-address: opening the port: listen tcp " + address + ": bind: address already in use\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "controller", "--config="+write(t, "config.yaml", controllerConfig), "--kubeconfig="+kubeconfig,
				"--metrics-bind-address="+tc.metrics, "--health-probe-bind-address="+tc.probes)
			assert.Equal(t, exitFailed, code)
			assert.Empty(t, stdout)
			assert.Equal(t, "kthena-certgen: error: "+tc.want, stderr)
		})
	}
}
