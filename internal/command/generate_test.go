package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// pair writes a certificate and its key, neither of a CA, and returns their paths.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	b, err := gen.Generate(gen.Spec{DNSNames: []string{"a"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(cert, b.Cert, 0o600))
	require.NoError(t, os.WriteFile(key, b.Key, 0o600))
	return cert, key
}

func TestBadInputOfGenerateWritesNothing(t *testing.T) {
	cert, key := pair(t)
	const hint = " (see 'kthena-certgen generate --help')\n"
	for name, tc := range map[string]struct {
		args []string // after the required flags
		code int
		want string // with DIR for the folder
	}{
		"no namespace": {
			[]string{"--namespace="}, exitUsage, "--namespace is required: name the namespace of the Helm release" + hint,
		},
		"a malformed namespace": {
			[]string{"--namespace=A_B"}, exitUsage, `--namespace "A_B" is not a namespace: a lowercase RFC 1123 label must consist of`,
		},
		"no folder": {
			[]string{"--output-dir="}, exitUsage, "--output-dir is required: name the folder to write to" + hint,
		},
		"an unknown subchart": {
			[]string{"--subchart=router"}, exitUsage,
			`--subchart, --cluster-domain, --router-dns-name: subchart "router" is unknown: use registry, workload, networking` + hint,
		},
		"a malformed domain": {
			[]string{"--cluster-domain=.local"}, exitUsage,
			`--subchart, --cluster-domain, --router-dns-name: the cluster's domain: DNS name ".local" is malformed`,
		},
		"a router without its subchart": {
			[]string{"--subchart=workload", "--router-dns-name=a.example.com"}, exitUsage,
			"--subchart, --cluster-domain, --router-dns-name: the router has a DNS name, but its subchart networking is not named" + hint,
		},
		"a router that is an IP address": {
			[]string{"--router-dns-name=1.2.3.4"}, exitUsage,
			`--subchart, --cluster-domain, --router-dns-name: the router's name: DNS name "1.2.3.4" is an IP address: use a name` + hint,
		},
		"a CA without its key": {
			[]string{"--ca-cert=" + cert}, exitUsage, "--ca-cert and --ca-key belong together: name both or neither" + hint,
		},
		"a key without its CA": {
			[]string{"--ca-key=" + key}, exitUsage, "--ca-cert and --ca-key belong together: name both or neither" + hint,
		},
		"requests with a CA": {
			[]string{"--csr-only", "--ca-cert=" + cert}, exitUsage, "--csr-only needs neither --ca-cert nor --ca-key: the CA signs elsewhere" + hint,
		},
		"requests and their answers": {
			[]string{"--csr-only", "--import"}, exitUsage, "--csr-only and --import exclude each other: use them one after the other" + hint,
		},
		"answers without a CA": {
			[]string{"--import"}, exitUsage, "--import needs --ca-cert: name the file with the certificates of the CA that has signed" + hint,
		},
		"answers with a CA's key": {
			[]string{"--import", "--ca-cert=" + cert, "--ca-key=" + key}, exitUsage, "--import needs no --ca-key: the CA has signed already" + hint,
		},
		"a CA that is not there": {
			[]string{"--ca-cert=" + cert + "s", "--ca-key=" + key}, exitUsage, "--ca-cert: open " + cert + "s: no such file or directory" + hint,
		},
		"a key that is not there": {
			[]string{"--ca-cert=" + cert, "--ca-key=" + key + "s"}, exitUsage, "--ca-key: open " + key + "s: no such file or directory" + hint,
		},
		"a CA that is none": {
			[]string{"--ca-cert=" + cert, "--ca-key=" + key}, exitUsage,
			"--ca-cert, --ca-key: the certificate of CN=kthena-certgen is not that of a CA" + hint,
		},
		"a validity below an hour": {
			[]string{"--validity=1m"}, exitUsage, "--validity: a validity of 1m0s is not allowed: use 1h to 876000h" + hint,
		},
		"a key size that does not exist": {
			[]string{"--key-size=1"}, exitUsage, "--key-algorithm, --key-size: key size 1 is not allowed for ECDSA: use 256, 384" + hint,
		},
		"answers in a folder without a key": {
			[]string{"--import", "--ca-cert=" + cert}, exitFailed,
			"reading what the CA has to sign or has signed: open DIR/registry-webhook-certs-manual/tls.key: no such file or directory\n",
		},
		"a folder that is not empty": {
			[]string{"--output-dir=" + filepath.Dir(cert)}, exitFailed, filepath.Dir(cert) + " is not empty: choose another folder\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			code, stdout, stderr := call(t, append([]string{"generate", "--namespace=ns", "--output-dir=" + dir}, tc.args...)...)
			assert.Equal(t, tc.code, code)
			assert.Empty(t, stdout)
			assert.True(t, strings.HasPrefix(stderr, "kthena-certgen: error: "+strings.ReplaceAll(tc.want, "DIR", dir)), "got: %s", stderr)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
			entries, err := os.ReadDir(filepath.Dir(dir))
			require.NoError(t, err)
			assert.Empty(t, entries)
		})
	}
}

func TestGenerateSaysWhatIsNext(t *testing.T) {
	// The list quotes are within the others: kubectl and Helm read them.
	for name, tc := range map[string]struct{ folder, before, between, after, list string }{
		"as it is where a shell reads it so":      {folder: "out"},
		"in quotes where a shell needs them":      {"Sam's certs", "'", `'\''`, "'", ""},
		"in two where a list would be read in it": {"a,b", "'", "", "'", `"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), tc.folder)
			word := func(list, file string) string {
				return tc.before + list + strings.Replace(dir, "'", tc.between, 1) + file + list + tc.after
			}
			const site = "--subchart workload,networking --cluster-domain k8s.example.com --router-dns-name a.example.com"
			args := append([]string{"--namespace", "ns", "--output-dir", dir}, strings.Fields(site)...)
			code, stdout, stderr := call(t, append([]string{"generate", "--csr-only"}, args...)...)
			require.Equal(t, exitDone, code, stderr)
			assert.Contains(
				t, stdout, "kthena-router-tls-manual         -     a.example.com kthena-router.ns.svc kthena-router.ns.svc.k8s.example.com\n",
			)
			assert.Contains(t, stdout, "\n  kthena-certgen generate --namespace ns --output-dir "+word("", "")+" "+site+" --import --ca-cert FILE\n")

			code, stdout, stderr = call(t, append([]string{"generate", "--force"}, args...)...)
			require.Equal(t, exitDone, code, stderr)
			assert.Regexp(t, `kthena-router-tls-manual         \d{4}-\d\d-\d\d  a.example.com`, stdout)
			assert.Contains(t, stdout, "\n  kubectl apply --filename "+word(tc.list, "/secrets.yaml")+
				"\n  helm install kthena charts/kthena --namespace ns --values "+word(tc.list, "/values.yaml")+"\n")
			assert.NotContains(t, stdout, "PRIVATE KEY")
		})
	}
}
