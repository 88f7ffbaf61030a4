package chart

import (
	"bytes"
	"encoding/base64"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// The three modes, as the values name them.
const (
	auto        = "auto"
	certManager = "cert-manager"
	manual      = "manual"
)

// subcharts are those with webhooks, and where their values name the component.
var subcharts = map[string]string{"registry": "controllerManager", "workload": "controllerManager", "networking": "kthenaRouter"}

// merged lays the values b over a.
func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	for key, value := range b {
		if below, ok := value.(map[string]any); ok {
			if mine, ok := out[key].(map[string]any); ok {
				value = merged(mine, below)
			}
		}
		if out == nil {
			out = map[string]any{}
		}
		out[key] = value
	}
	return out
}

// inMode are values that choose a mode, and the replicas of every component.
func inMode(mode string, n int) map[string]any {
	return merged(replicas(n), map[string]any{"global": map[string]any{"certManagementMode": mode}})
}

// inManualMode are those of manual mode with Secrets of the user's own names.
func inManualMode(n int, bundle []byte) map[string]any {
	values := merged(inMode(manual, n), map[string]any{
		"global": map[string]any{"webhook": map[string]any{"caBundle": base64.StdEncoding.EncodeToString(bundle)}},
	})
	for subchart, component := range subcharts {
		values = merged(values, map[string]any{subchart: map[string]any{component: map[string]any{
			"webhook": map[string]any{"tls": map[string]any{"secretName": ownSecret(subchart)}},
		}}})
	}
	return values
}

// ownSecret is the name of the Secret that the user has made for a subchart.
func ownSecret(subchart string) string { return "own-" + subchart + "-certs" }

// createOwnSecrets makes a certificate of a CA of its own for each webhook, as a user of manual mode does, and returns all CAs.
func (i *installation) createOwnSecrets(t *testing.T) []byte {
	t.Helper()
	var bundle []byte
	for subchart := range subcharts {
		name := subchart + "-webhook." + i.namespace + ".svc"
		bundle = append(bundle, i.createOwnSecret(t, ownSecret(subchart), name, name+".cluster.local")...)
	}
	return bundle
}

// createOwnSecret makes a certificate of a CA of its own and returns the CA.
func (i *installation) createOwnSecret(t *testing.T, name string, dnsNames ...string) []byte {
	t.Helper()
	made, err := gen.Generate(gen.Spec{DNSNames: dnsNames, Validity: 24 * time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
	require.NoError(t, err)
	_, err = cluster.Client.CoreV1().Secrets(i.namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: made.Cert, corev1.TLSPrivateKeyKey: made.Key, "ca.crt": made.CA},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return made.CA
}

// liveCAs returns what the API server trusts now, of all entries together.
func (i *installation) liveCAs(t *testing.T) []byte {
	t.Helper()
	var all [][]byte
	for _, target := range i.targets(t) {
		if !containsBundle(all, target.CABundle) {
			all = append(all, target.CABundle)
		}
	}
	return bytes.Join(all, nil)
}

func containsBundle(all [][]byte, one []byte) bool {
	for _, b := range all {
		if bytes.Equal(b, one) {
			return true
		}
	}
	return false
}
