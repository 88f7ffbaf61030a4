package offline_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/internal/offline"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

var (
	now  = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	spec = gen.Spec{Validity: gen.DefaultValidity, Key: gen.KeySpec{Algorithm: gen.ECDSA}}
	site = offline.Site{Namespace: "ns", Subcharts: offline.Subcharts, ClusterDomain: "cluster.local", RouterDNSName: "models.example.com"}
)

// ca is a CA elsewhere.
type ca struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newCA(t *testing.T, change ...func(*x509.Certificate)) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "elsewhere"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	for _, f := range change {
		f(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	c, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return &ca{key, c}
}

func (c *ca) pem() []byte { return gen.CASet{c.cert}.PEM() }

// answer puts a certificate beside every request in dir.
func (c *ca) answer(t *testing.T, dir string) {
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
		require.NoError(t, r.CheckSignature())
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(7), DNSNames: r.DNSNames, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(100 * time.Hour),
		}, c.cert, r.PublicKey, c.key)
		require.NoError(t, err)
		require.NoError(
			t, os.WriteFile(filepath.Join(filepath.Dir(path), "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		)
	}
}

// files lists the files below dir, with what they hold.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = string(data)
		return err
	}))
	return all
}

func generate(t *testing.T, dir string, site offline.Site, force bool) ([]offline.Certificate, error) {
	t.Helper()
	a, err := gen.NewAuthority(spec, now)
	require.NoError(t, err)
	return offline.Generate(dir, site, a, spec, force, now)
}

// requireWhole requires that the folder holds all that manual mode needs, and that it fits.
func requireWhole(t *testing.T, dir string, site offline.Site, want map[string][]string) {
	t.Helper()
	all := files(t, dir)
	var values struct {
		Global struct {
			CertManagementMode, ClusterDomain string
			Webhook                           struct{ CABundle []byte }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(all["values.yaml"]), &values))
	assert.Equal(t, "manual", values.Global.CertManagementMode)
	assert.Equal(t, site.ClusterDomain, values.Global.ClusterDomain)
	assert.Equal(t, all["ca.crt"], string(values.Global.Webhook.CABundle))
	var names []string
	for _, text := range strings.Split(all["secrets.yaml"], "---\n")[1:] {
		var s corev1.Secret
		require.NoError(t, yaml.UnmarshalStrict([]byte(text), &s))
		names = append(names, s.Name)
		assert.Equal(t, site.Namespace, s.Namespace)
		assert.Equal(t, corev1.SecretTypeTLS, s.Type)
		assert.Equal(t, all[s.Name+"/tls.crt"], string(s.Data["tls.crt"]))
		assert.Equal(t, all[s.Name+"/tls.key"], string(s.Data["tls.key"]))
		assert.Len(t, s.Data, 3)
		r := gen.Check(gen.Bundle{CA: values.Global.Webhook.CABundle, Cert: s.Data["tls.crt"], Key: s.Data["tls.key"]}, want[s.Name], now)
		assert.Empty(t, r.Faults, s.Name)
		assert.Equal(t, want[s.Name], r.Leaf.DNSNames)
	}
	assert.Len(t, names, len(want), "%v", names)
}

var everything = map[string][]string{
	"registry-webhook-certs-manual":   {"registry-webhook.ns.svc", "registry-webhook.ns.svc.cluster.local"},
	"workload-webhook-certs-manual":   {"workload-webhook.ns.svc", "workload-webhook.ns.svc.cluster.local"},
	"networking-webhook-certs-manual": {"networking-webhook.ns.svc", "networking-webhook.ns.svc.cluster.local"},
	"kthena-router-tls-manual":        {"models.example.com", "kthena-router.ns.svc", "kthena-router.ns.svc.cluster.local"},
}

func TestGenerateWritesTheWholeFolder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		site offline.Site
		want map[string][]string
	}{
		"for everything": {site, everything},
		"for one subchart": {
			offline.Site{Namespace: "a", Subcharts: []string{"workload"}, ClusterDomain: "k8s.example.com"},
			map[string][]string{"workload-webhook-certs-manual": {"workload-webhook.a.svc", "workload-webhook.a.svc.k8s.example.com"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "not", "there", "yet")
			done, err := generate(t, dir, tc.site, false)
			require.NoError(t, err)
			requireWhole(t, dir, tc.site, tc.want)
			assert.Len(t, files(t, dir), 3+2*len(tc.want))
			ca, _ := gen.ParseCertificates([]byte(files(t, dir)["ca.crt"]))
			assert.Len(t, ca, 1, "one CA for all")
			for _, c := range done {
				assert.Equal(t, tc.want[c.Secret], c.DNSNames)
				assert.Equal(t, now.Add(gen.DefaultValidity), c.NotAfter)
			}
			assert.Len(t, done, len(tc.want))
		})
	}
}

func TestKeysAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	_, err := generate(t, dir, site, false)
	require.NoError(t, err)
	for name, data := range files(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		if strings.Contains(data, "PRIVATE KEY") || name == "secrets.yaml" {
			assert.Equal(t, fs.FileMode(0o600), info.Mode(), name)
		} else {
			assert.Equal(t, fs.FileMode(0o644), info.Mode(), name)
		}
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
}

func TestRequestAndImportMakeTheSameFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	done, err := offline.Request(dir, site, spec, false)
	require.NoError(t, err)
	require.Len(t, done, 4)
	requested := files(t, dir)
	assert.Len(t, requested, 8, "a key and a request each")
	elsewhere := newCA(t)

	_, err = offline.Import(dir, site, elsewhere.pem(), false, now)
	require.ErrorContains(
		t, err,
		"reading what the CA has to sign or has signed: open "+filepath.Join(
			dir, "registry-webhook-certs-manual", "tls.crt",
		)+": no such file or directory",
	)
	assert.Equal(t, requested, files(t, dir))

	elsewhere.answer(t, dir)
	answered := files(t, dir)
	_, err = offline.Import(dir, site, newCA(t).pem(), false, now)
	require.EqualError(
		t, err, "checking "+filepath.Join(dir, "registry-webhook-certs-manual", "tls.crt")+": chain: no CA of the set has signed the certificate",
	)
	assert.Equal(t, answered, files(t, dir), "nothing is changed before everything is checked")

	done, err = offline.Import(dir, site, elsewhere.pem(), false, now)
	require.NoError(t, err)
	assert.Equal(t, now.Add(100*time.Hour), done[0].NotAfter)
	requireWhole(t, dir, site, everything)
	whole := files(t, dir)
	for name, data := range requested {
		assert.Equal(t, data, whole[name], "%s stays", name)
	}
	assert.Equal(t, string(elsewhere.pem()), whole["ca.crt"])

	_, err = offline.Import(dir, site, elsewhere.pem(), false, now)
	require.EqualError(t, err, dir+" is complete already: replace what is there by --force")
	_, err = offline.Import(dir, site, elsewhere.pem(), true, now)
	require.NoError(t, err)
	assert.Equal(t, whole, files(t, dir))
}

func TestNothingOfTheUsersIsLost(t *testing.T) {
	t.Parallel()
	alone := site
	alone.Subcharts, alone.RouterDNSName = []string{"workload"}, ""
	elsewhere := newCA(t)
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		do      func(t *testing.T, dir string) error
		want    string // with DIR for the folder; empty: it is done
	}{
		"by generating into what is there": {
			func(t *testing.T, dir string) { put(t, dir, "notes.txt") },
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, false); return err },
			"DIR is not empty: choose another folder",
		},
		"by force over values of somebody's": {
			func(t *testing.T, dir string) { put(t, dir, "values.yaml") },
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, true); return err },
			"DIR/values.yaml was not written by this program: move it away or choose another folder",
		},
		"by force over Secrets of somebody's": {
			func(t *testing.T, dir string) {
				_, err := generate(t, dir, site, false)
				require.NoError(t, err)
				require.NoError(t, os.Remove(filepath.Join(dir, "secrets.yaml")))
				put(t, dir, "secrets.yaml")
			},
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, true); return err },
			"DIR/secrets.yaml was not written by this program: move it away or choose another folder",
		},
		"by force over a CA of somebody's": {
			func(t *testing.T, dir string) { put(t, dir, "ca.crt") },
			func(_ *testing.T, dir string) error { _, err := offline.Request(dir, site, spec, true); return err },
			"DIR/ca.crt was not written by this program: move it away or choose another folder",
		},
		"by force over a CA's answers": {
			func(t *testing.T, dir string) {
				_, err := offline.Request(dir, site, spec, false)
				require.NoError(t, err)
				elsewhere.answer(t, dir)
			},
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, true); return err },
			"DIR waits for what a CA has to sign: complete it by --import, or choose another folder",
		},
		"by importing over a CA of somebody's": {
			func(t *testing.T, dir string) {
				_, err := offline.Request(dir, site, spec, false)
				require.NoError(t, err)
				elsewhere.answer(t, dir)
				put(t, dir, "ca.crt")
			},
			func(_ *testing.T, dir string) error {
				_, err := offline.Import(dir, site, elsewhere.pem(), false, now)
				return err
			},
			"DIR/ca.crt was not written by this program: move it away or choose another folder",
		},
		"by generating twice": {
			func(t *testing.T, dir string) { _, err := generate(t, dir, site, false); require.NoError(t, err) },
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, false); return err },
			"DIR is not empty: choose another folder, or replace what is there by --force",
		},
		"by force": {
			func(t *testing.T, dir string) { put(t, dir, "registry-webhook-certs-manual/notes.txt") },
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, true); return err },
			"DIR/registry-webhook-certs-manual/notes.txt does not belong to what is asked for: move it away or choose another folder",
		},
		"by force in a folder of somebody's": {
			func(t *testing.T, dir string) { require.NoError(t, os.MkdirAll(filepath.Join(dir, "mine"), 0o700)) },
			func(_ *testing.T, dir string) error { _, err := offline.Request(dir, site, spec, true); return err },
			"DIR/mine does not belong to what is asked for: move it away or choose another folder",
		},
		"by requesting twice": {
			func(t *testing.T, dir string) {
				_, err := offline.Request(dir, site, spec, false)
				require.NoError(t, err)
			},
			func(_ *testing.T, dir string) error { _, err := offline.Request(dir, site, spec, false); return err },
			"DIR waits for what a CA has to sign: complete it by --import, or choose another folder",
		},
		"by importing less than was requested": {
			func(t *testing.T, dir string) {
				_, err := offline.Request(dir, site, spec, false)
				require.NoError(t, err)
				elsewhere.answer(t, dir)
			},
			func(_ *testing.T, dir string) error {
				_, err := offline.Import(dir, alone, elsewhere.pem(), true, now)
				return err
			},
			"DIR/kthena-router-tls-manual/tls.crt does not belong to what is asked for: move it away or choose another folder",
		},
		"by force over a folder with the name of a file": {
			func(t *testing.T, dir string) {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, "ca.crt"), 0o700))
				put(t, dir, "secrets.yaml")
			},
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, true); return err },
			"DIR/ca.crt does not belong to what is asked for: move it away or choose another folder",
		},
		"by a folder that is a file": {
			func(t *testing.T, dir string) { put(t, filepath.Dir(dir), filepath.Base(dir)) },
			func(t *testing.T, dir string) error { _, err := generate(t, dir, site, true); return err },
			"open DIR: not a directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			tc.prepare(t, dir)
			before := files(t, parent)
			was, _ := os.Lstat(dir)
			require.EqualError(t, tc.do(t, dir), strings.ReplaceAll(tc.want, "DIR", dir))
			assert.Equal(t, before, files(t, parent))
			is, err := os.Lstat(dir)
			require.NoError(t, err)
			assert.True(t, os.SameFile(was, is))
		})
	}
}

func put(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
}

// A folder that is there may be a mount point, and is often the one that somebody works in.
func TestAFolderThatIsThereStaysTheSame(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, force := range []bool{false, true} {
		before, err := os.Stat(dir)
		require.NoError(t, err)
		_, err = generate(t, ".", site, force)
		require.NoError(t, err)
		requireWhole(t, dir, site, everything)
		after, err := os.Stat(".")
		require.NoError(t, err)
		assert.True(t, os.SameFile(before, after))
		assert.Len(t, files(t, dir), 3+2*len(everything), "nothing else is left")
	}
}

func TestALinkToNowhereIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.Symlink("nowhere", dir))
	_, err := generate(t, dir, site, true)
	require.EqualError(t, err, "making the folder: mkdir "+dir+": file exists")
	to, err := os.Readlink(dir)
	require.NoError(t, err)
	assert.Equal(t, "nowhere", to)
}

func TestWhatAKilledRunHasLeftIsReplacedByForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, ".kthena-certgen-123/new/ca.crt")
	put(t, dir, ".kthena-certgen-456/new/registry-webhook-certs-manual/tls.key")
	put(t, dir, "registry-webhook-certs-manual/tls.key")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "networking-webhook-certs-manual"), 0o700))
	_, err := generate(t, dir, site, false)
	require.EqualError(t, err, dir+" is not empty: choose another folder, or replace what is there by --force")
	_, err = generate(t, dir, site, true)
	require.NoError(t, err)
	requireWhole(t, dir, site, everything)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 3+len(everything))
}

func TestForceReplacesEverything(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	_, err := generate(t, dir, site, false)
	require.NoError(t, err)
	before := files(t, dir)
	alone := offline.Site{Namespace: "ns", Subcharts: []string{"workload"}, ClusterDomain: "cluster.local"}
	link := filepath.Join(parent, "link")
	require.NoError(t, os.Symlink(dir, link))
	_, err = generate(t, link, alone, true)
	require.NoError(t, err)
	requireWhole(t, dir, alone, map[string][]string{"workload-webhook-certs-manual": everything["workload-webhook-certs-manual"]})
	after := files(t, dir)
	assert.Len(t, after, 5, "no file of the others is left")
	assert.NotEqual(t, before["ca.crt"], after["ca.crt"])
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "the folder and the link: %v", entries)
}

// Everything is made and checked before anything is written.
func TestAFailureLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	_, err := generate(t, dir, site, false)
	require.NoError(t, err)
	before := files(t, parent)
	narrow := newCA(t, func(c *x509.Certificate) {
		c.PermittedDNSDomains = []string{"registry-webhook.ns.svc", "registry-webhook.ns.svc.cluster.local"}
	})
	a, err := gen.LoadAuthority(narrow.pem(), narrow.keyPEM(t), now)
	require.NoError(t, err)
	_, err = offline.Generate(dir, site, a, spec, true, now)
	require.ErrorContains(t, err, "making the certificate of workload-webhook: checking the new certificate: chain: ")
	require.ErrorContains(t, err, "is not permitted by any constraint")
	assert.Equal(t, before, files(t, parent))
}

func (c *ca) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func TestASiteIsValidated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*offline.Site)
		want   string
	}{
		"accepts everything": {func(*offline.Site) {}, ""},
		"refuses no subchart": {
			func(s *offline.Site) { s.Subcharts = nil }, "no subchart is named: use registry, workload, networking",
		},
		"refuses an unknown subchart": {
			func(s *offline.Site) { s.Subcharts = []string{"router"} }, `subchart "router" is unknown: use registry, workload, networking`,
		},
		"refuses no domain": {
			func(s *offline.Site) { s.ClusterDomain = "" }, "the cluster's domain: a DNS name must not be empty",
		},
		"refuses a malformed name of the router": {
			func(s *offline.Site) { s.RouterDNSName = "*.example.com" },
			`the router's name: DNS name "*.example.com" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, ` +
				`joined by dots`,
		},
		"refuses a router without its subchart": {
			func(s *offline.Site) { s.Subcharts = []string{"registry"} }, "the router has a DNS name, but its subchart networking is not named",
		},
		"accepts a subchart that is named doubly": {func(s *offline.Site) { s.Subcharts = []string{"networking", "networking"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := site
			tc.change(&s)
			if tc.want == "" {
				assert.NoError(t, s.Validate())
			} else {
				assert.EqualError(t, s.Validate(), tc.want)
			}
		})
	}
}

func TestNoKeyIsInTheValues(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	_, err := generate(t, dir, site, false)
	require.NoError(t, err)
	all := files(t, dir)
	for name, data := range all {
		if filepath.Base(name) != "tls.key" {
			continue
		}
		assert.NotContains(t, all["values.yaml"], base64.StdEncoding.EncodeToString([]byte(data))[:40])
		assert.False(t, bytes.Contains([]byte(all["ca.crt"]), []byte(data)))
	}
}
