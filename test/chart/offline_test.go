package chart

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// What is generated offline, kubectl apply and helm install are all that manual mode needs, whoever signs.
func TestWhatIsGeneratedOfflineIsAllThatManualModeNeeds(t *testing.T) {
	const outside = "models.example.com"
	for name, tc := range map[string]struct {
		generate func(t *testing.T, run func(more ...string), dir string)
		router   bool
	}{
		"when a new CA signs": {func(_ *testing.T, run func(more ...string), _ string) { run() }, false},
		"when an intermediate CA signs": {func(t *testing.T, run func(more ...string), _ string) {
			issuing := newCompany(t)
			cert, key := issuing.write(t)
			run("--ca-cert", cert, "--ca-key", key)
		}, false},
		"when a CA elsewhere signs": {func(t *testing.T, run func(more ...string), dir string) {
			issuing := newCompany(t)
			cert, _ := issuing.write(t)
			run("--csr-only")
			issuing.answer(t, dir)
			run("--import", "--ca-cert", cert)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			i := env.Prepare(t)
			dir := filepath.Join(t.TempDir(), "manual")
			tc.generate(t, func(more ...string) {
				args := append([]string{"generate", "--namespace", i.Namespace, "--output-dir", dir}, more...)
				if tc.router {
					args = append(args, "--router-dns-name", outside)
				}
				cmd := exec.CommandContext(t.Context(), env.Program("kthena-certgen"), args...)
				cmd.Env = []string{}
				output, err := cmd.CombinedOutput()
				require.NoError(t, err, string(output))
			}, dir)

			applySecrets(t, filepath.Join(dir, "secrets.yaml"))
			text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
			require.NoError(t, err)
			var values map[string]any
			require.NoError(t, yaml.Unmarshal(text, &values))
			i.Install(t, values)
			i.RequireNoRestarts(t)
			i.RequireAdmission(t, charttest.Entries)
			verify := exec.CommandContext(
				t.Context(), env.Program("kthena-certgen"), "verify", "--kubeconfig", env.Kubeconfig, "--namespace", i.Namespace,
			)
			report, err := verify.CombinedOutput()
			require.NoError(t, err, string(report))
			// Elsewhere verify looks at the router's certificate; a client of our own reaches it on the local cluster only.
			if !tc.router || *charttest.Connected {
				return
			}
			ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
			require.NoError(t, err)
			trusted := x509.NewCertPool()
			require.True(t, trusted.AppendCertsFromPEM(ca))
			for _, name := range []string{outside, "kthena-router." + i.Namespace + ".svc"} {
				assert.NoError(t, get(t, i.Namespace, name, trusted), name)
			}
			assert.ErrorContains(t, get(t, i.Namespace, outside, x509.NewCertPool()), "x509: certificate signed by unknown authority")
		})
	}
}

// applySecrets does what kubectl apply does with a manifest of Secrets, on the server's side.
func applySecrets(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, document := range strings.Split(string(text), "\n---\n")[1:] {
		var o metav1.PartialObjectMetadata
		require.NoError(t, yaml.Unmarshal([]byte(document), &o))
		_, err := env.Client.CoreV1().Secrets(o.Namespace).Patch(
			t.Context(), o.Name, types.ApplyYAMLPatchType, []byte(document), metav1.PatchOptions{FieldManager: "kubectl", FieldValidation: "Strict"},
		)
		require.NoError(t, err)
	}
}

// company is an intermediate CA and the root above it.
type company struct {
	key       *ecdsa.PrivateKey
	cert, top *x509.Certificate
}

func newCompany(t *testing.T) *company {
	t.Helper()
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	make := func(c, above *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, above, key.Public(), signer)
		require.NoError(t, err)
		made, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return made
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	root := make(template("company root"), template("company root"), rootKey, rootKey)
	return &company{key, make(template("company issuing"), root, key, rootKey), root}
}

// write writes the certificates and the key to files and returns their paths.
func (c *company) write(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	require.NoError(t, os.WriteFile(cert, gen.CASet{c.cert, c.top}.PEM(), 0o600))
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return cert, key
}

// answer signs every request in dir and puts the certificate beside it.
func (c *company) answer(t *testing.T, dir string) {
	t.Helper()
	requests, err := filepath.Glob(filepath.Join(dir, "*", "tls.csr"))
	require.NoError(t, err)
	require.NotEmpty(t, requests)
	for _, path := range requests {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		block, _ := pem.Decode(text)
		r, err := x509.ParseCertificateRequest(block.Bytes)
		require.NoError(t, err)
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(7), Subject: r.Subject, DNSNames: r.DNSNames, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(100 * time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}, c.cert, r.PublicKey, c.key)
		require.NoError(t, err)
		require.NoError(
			t, os.WriteFile(filepath.Join(filepath.Dir(path), "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		)
	}
}
