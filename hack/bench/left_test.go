package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// material makes a CA of a name, and a certificate of it for a DNS name, with its key.
func material(t *testing.T, issuer, name string) (ca, cert, key []byte) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	end := time.Now().Add(time.Hour)
	root := &x509.Certificate{Subject: pkix.Name{CommonName: issuer}, IsCA: true, BasicConstraintsValid: true, NotAfter: end}
	caDER, err := x509.CreateCertificate(rand.Reader, root, root, caKey.Public(), caKey)
	require.NoError(t, err)
	leaf := &x509.Certificate{DNSNames: []string{name}, NotAfter: end, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), caKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	require.NoError(t, err)
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return encode("CERTIFICATE", caDER), encode("CERTIFICATE", leafDER), encode("PRIVATE KEY", keyDER)
}

func TestWhatARunLeftBehindIsChecked(t *testing.T) {
	t.Parallel()
	const name = "webhook.here.svc"
	ca, cert, key := material(t, "one", name)
	otherCA, otherCert, _ := material(t, "other", name)
	usual := contender{Command: []string{"x", "{dir}"}, CAKey: "ca.crt", CertKey: "tls.crt", KeyKey: "tls.key"}
	peer := contender{Command: []string{"x"}, CAKey: "ca", CertKey: "cert", KeyKey: "key"}
	secretOnly := peer
	secretOnly.SecretOnly = true
	own := map[string][]byte{"ca.crt": ca, "tls.crt": cert, "tls.key": key}
	theirs := map[string][]byte{"ca": ca, "cert": cert, "key": key}
	filled := [][]byte{ca, ca, ca, ca}
	empty := make([][]byte, 4)
	with := func(of map[string][]byte, key string, value []byte) map[string][]byte {
		changed := maps.Clone(of)
		changed[key] = value
		return changed
	}
	for sentence, tc := range map[string]struct {
		contender contender
		secret    map[string][]byte
		bundles   [][]byte
		files     map[string][]byte
		dns, want string
	}{
		"a Secret, bundles and files do":                  {usual, own, filled, own, name, ""},
		"a peer need not write files":                     {peer, theirs, filled, nil, name, ""},
		"a peer that is secretOnly need not fill bundles": {secretOnly, theirs, empty, nil, name, ""},
		"a file that is missing is found": {
			usual, own, filled, map[string][]byte{"ca.crt": ca, "tls.crt": cert}, name,
			"the file tls.key does not hold what the Secret holds\nopen DIR/tls.key: no such file or directory",
		},
		"a file that differs is found": {
			usual, own, filled, with(own, "tls.crt", otherCert), name, "the file tls.crt does not hold what the Secret holds",
		},
		"other keys of the Secret are found": {usual, theirs, filled, own, name, "the Secret has no ca.crt, but ca, cert, key"},
		"a key without data is found": {
			peer, with(theirs, "key", nil), filled, nil, name, "the Secret has no key, but ca, cert, key",
		},
		"a key of another certificate is found": {
			peer, with(theirs, "cert", otherCert), filled, nil, name,
			"reading the key pair in the Secret: tls: private key does not match public key",
		},
		"another CA is found": {
			secretOnly, with(theirs, "ca", otherCA), empty, nil, name,
			"verifying the certificate in the Secret: x509: certificate signed by unknown authority",
		},
		"another DNS name is found": {
			peer, theirs, filled, nil, "elsewhere.svc",
			"verifying the certificate in the Secret: x509: certificate is valid for webhook.here.svc, not elsewhere.svc",
		},
		"an empty bundle is found": {
			peer, theirs, [][]byte{ca, ca, ca, nil}, nil, name, "the CA bundle of entry 3 is not the Secret's CA",
		},
		"another CA in a bundle is found": {
			usual, own, [][]byte{ca, otherCA, ca, ca}, own, name, "the CA bundle of entry 1 is not the Secret's CA",
		},
		"a bundle of one that is secretOnly is found": {
			secretOnly, theirs, [][]byte{nil, nil, ca, nil}, nil, name, "the CA bundle of entry 2 is filled, by a contender that is secretOnly",
		},
		"an entry that is gone is found": {peer, theirs, filled[1:], nil, name, "the configurations have 3 entries instead of 4"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, data := range tc.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), data, 0o600))
			}
			err := tc.contender.check(left{tc.secret, tc.bundles, []string{dir}}, tc.dns)
			if tc.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, strings.ReplaceAll(tc.want, "DIR", dir))
		})
	}
}
