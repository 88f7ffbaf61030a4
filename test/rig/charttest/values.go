package charttest

import (
	"bytes"
	"encoding/base64"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// The three modes, as the values name them.
const (
	Auto        = "auto"
	CertManager = "cert-manager"
	Manual      = "manual"
)

// Modes are the three modes.
var Modes = []string{Auto, CertManager, Manual}

// Subcharts are those with webhooks, and where their values name the component.
var Subcharts = map[string]string{"registry": "controllerManager", "workload": "controllerManager", "networking": "kthenaRouter"}

// Merged lays values over others.
func Merged(below, above map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, below)
	for key, value := range above {
		upper, ok := value.(map[string]any)
		if lower, both := out[key].(map[string]any); ok && both {
			value = Merged(lower, upper)
		}
		out[key] = value
	}
	return out
}

// PerComponent are values that are set for every component.
func PerComponent(values map[string]any) map[string]any {
	all := map[string]any{}
	for subchart, component := range Subcharts {
		all[subchart] = map[string]any{component: values}
	}
	return all
}

// Replicas are values that set the number of replicas of every component. With -short it is that of the registry alone, which has
// most of the entries, and the others have one: most of the time of a test is that of its pods, and what replicas share is the
// same for each component.
func Replicas(n int) map[string]any {
	values := PerComponent(map[string]any{"replicas": n})
	if testing.Short() {
		values = Merged(PerComponent(map[string]any{"replicas": 1}), map[string]any{"registry": values["registry"]})
	}
	return values
}

// Draining are values that make the stand-in tell its clients to close their connections before it ends, so that no request
// meets one while it is being closed. Kthena's servers do not, and it would hide that a preStop is missing: test/lifecycle rolls
// servers like Kthena's.
func Draining() map[string]any {
	return PerComponent(map[string]any{"extraArgs": []any{"--drain=1s"}})
}

// InMode are values that choose a mode, the replicas as Replicas does, and Draining, so that a switch is what all requests depend on
// that fail.
func InMode(mode string, n int) map[string]any {
	return Merged(Merged(Replicas(n), Draining()), map[string]any{"global": map[string]any{"certManagementMode": mode}})
}

// InManualMode are those of manual mode with Secrets of the user's own names.
func InManualMode(n int, bundle []byte) map[string]any {
	values := Merged(InMode(Manual, n), map[string]any{
		"global": map[string]any{"webhook": map[string]any{"caBundle": base64.StdEncoding.EncodeToString(bundle)}},
	})
	for subchart, component := range Subcharts {
		values = Merged(values, map[string]any{subchart: map[string]any{component: map[string]any{
			"webhook": map[string]any{"tls": map[string]any{"secretName": OwnSecret(subchart)}},
		}}})
	}
	return values
}

// OwnSecret is the name of the Secret that the user has made for a subchart.
func OwnSecret(subchart string) string { return "own-" + subchart + "-certs" }

// CreateOwnSecrets makes a certificate of a CA of its own for each webhook, as a user of manual mode does, and returns all CAs.
func (i *Installation) CreateOwnSecrets(t *testing.T) []byte {
	t.Helper()
	var bundle []byte
	for subchart := range Subcharts {
		name := subchart + "-webhook." + i.Namespace + ".svc"
		bundle = append(bundle, i.CreateOwnSecret(t, OwnSecret(subchart), name, name+".cluster.local")...)
	}
	return bundle
}

// CreateOwnSecret makes a certificate of a CA of its own and returns the CA.
func (i *Installation) CreateOwnSecret(t *testing.T, name string, dnsNames ...string) []byte {
	t.Helper()
	made, err := gen.Generate(gen.Spec{DNSNames: dnsNames, Validity: 24 * time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
	require.NoError(t, err)
	_, err = i.env.Client.CoreV1().Secrets(i.Namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: made.Cert, corev1.TLSPrivateKeyKey: made.Key, "ca.crt": made.CA},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return made.CA
}

// AddCA does what the manual says before a switch to manual mode: it has every webhook entry trust a CA besides those that it trusts,
// since Helm replaces pods before it changes bundles. It returns all of them.
func (i *Installation) AddCA(t *testing.T, ca []byte) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(file, ca, 0o600))
	cmd := exec.CommandContext(t.Context(), i.env.Program("kthena-certgen"), "ca-bundle",
		"--kubeconfig", i.env.Kubeconfig, "--namespace", i.Namespace, "--release", Release, "--add", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	all, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	return all
}
