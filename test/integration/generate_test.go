package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// server is the folder of the one server that these tests generate for.
const server = "workload-webhook-certs-manual"

// generated is the command line that generates into dir.
func generated(t *testing.T, dir string, more ...string) []string {
	return append([]string{certgen(t), "generate", "--namespace=ns", "--subchart=workload", "--output-dir=" + dir}, more...)
}

func requireSuccess(t *testing.T, args []string) {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Whoever loses power finds the names that the program has reported.
func TestGenerateSyncsEveryFolder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		made bool // by the program
		args []string
	}{
		"that is there":              {},
		"that it makes":              {made: true},
		"in which it replaces files": {args: []string{"--force"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			want := []string{dir, filepath.Join(dir, server)}
			if tc.made {
				want = append(want, parent)
			} else {
				require.NoError(t, os.Mkdir(dir, 0o700))
			}
			if tc.args != nil {
				requireSuccess(t, generated(t, dir))
			}
			begun := runAndKill(t, generated(t, dir, tc.args...), dir, 1000)
			for _, folder := range want {
				assert.Contains(t, begun, "fsync "+folder)
			}
		})
	}
}

func TestAGenerateThatIsKilledAtAnyFileOperationLosesNothing(t *testing.T) {
	t.Parallel()
	stride := 1
	if testing.Short() {
		stride = 4
	}
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string) []string // returns more arguments
		keeps   bool                                    // the key that is there
	}{
		"into an empty folder": {func(*testing.T, string) []string { return nil }, false},
		"over what is there": {func(t *testing.T, dir string) []string {
			requireSuccess(t, generated(t, dir))
			return []string{"--force"}
		}, false},
		"that imports": {func(t *testing.T, dir string) []string {
			requireSuccess(t, generated(t, dir, "--csr-only"))
			return []string{"--import", "--ca-cert=" + answer(t, dir)}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n += stride {
				dir := t.TempDir()
				args := generated(t, dir, tc.prepare(t, dir)...)
				key, _ := os.ReadFile(filepath.Join(dir, server, "tls.key"))
				begun := runAndKill(t, args, dir, n)
				if tc.keeps {
					now, err := os.ReadFile(filepath.Join(dir, server, "tls.key"))
					require.NoError(t, err, "killed before operation %d of %v", n, begun)
					require.Equal(t, string(key), string(now))
				}
				if secrets, err := os.ReadFile(filepath.Join(dir, "secrets.yaml")); err == nil {
					for _, name := range []string{"ca.crt", filepath.Join(server, "tls.crt"), filepath.Join(server, "tls.key")} {
						text, err := os.ReadFile(filepath.Join(dir, name))
						require.NoError(t, err)
						require.Contains(t, string(secrets), base64.StdEncoding.EncodeToString(text), "%s, killed before operation %d of %v", name, n, begun)
					}
				}
				requireSuccess(t, append(args, "--force"))
				entries, err := os.ReadDir(dir)
				require.NoError(t, err)
				require.Len(t, entries, 4, "killed before operation %d of %v: %v", n, begun, entries)
				if len(begun) < n {
					t.Logf("%d operations: %v", len(begun), begun)
					require.Greater(t, len(begun), 20)
					return
				}
			}
		})
	}
}

// answer signs the request in dir as a CA elsewhere does, and returns the path of that CA's certificate.
func answer(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		Subject: pkix.Name{CommonName: "elsewhere"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	require.NoError(t, err)
	ca, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, server, "tls.csr"))
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	der, err = x509.CreateCertificate(
		rand.Reader, &x509.Certificate{DNSNames: request.DNSNames, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}, ca, request.PublicKey, key,
	)
	require.NoError(t, err)
	require.NoError(
		t, os.WriteFile(filepath.Join(dir, server, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
	)
	path := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(path, gen.CASet{ca}.PEM(), 0o600))
	return path
}
