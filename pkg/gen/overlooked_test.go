package gen_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/gen/gentest"
)

func TestWhatIsOverlookedIsNamedWithItsRemedy(t *testing.T) {
	t.Parallel()
	ca := string(newRoot(t, nil).chain.PEM())
	block, _ := pem.Decode([]byte(ca))
	pkcs7 := append([]byte{0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}, 0xa0, 0x80)
	called := func(name string, headers map[string]string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: name, Headers: headers, Bytes: block.Bytes}))
	}
	for name, tc := range map[string]struct{ data, want string }{
		"nothing of a good one":        {ca, ""},
		"nothing of several with text": {"# one\n" + ca + "# two\r\n" + strings.ReplaceAll(ca, "\n", "\r\n"), ""},
		"nothing of what nobody knows": {"hello", ""},
		"nothing of nothing":           {"", ""},
		"DER":                          {string(block.Bytes), "it is DER, not PEM: convert it by openssl x509 -inform der"},
		"PKCS#7":                       {string(pkcs7), "it is PKCS#7: convert it by openssl pkcs7 -print_certs"},
		"PKCS#7 as PEM":                {called("PKCS7", nil), "it is PKCS#7: convert it by openssl pkcs7 -print_certs"},
		"UTF-16, little endian": {
			"\xff\xfe" + strings.Join(strings.Split(ca, ""), "\x00") + "\x00", "it is UTF-16: save it as plain text, without a byte order mark",
		},
		"UTF-16, big endian": {
			"\xfe\xff\x00" + strings.Join(strings.Split(ca, ""), "\x00"), "it is UTF-16: save it as plain text, without a byte order mark",
		},
		"UTF-16 without a mark": {
			"\x00" + strings.Join(strings.Split(ca, ""), "\x00"), "it is UTF-16: save it as plain text, without a byte order mark",
		},
		"base64 of PEM":                 {"\n" + base64.StdEncoding.EncodeToString([]byte(ca)), "it is base64 of PEM: decode it once"},
		"a byte order mark":             {"\ufeff" + ca, "a UTF-8 byte order mark stands before a BEGIN line: save it without one"},
		"a byte order mark between two": {ca + "\ufeff" + ca, "a UTF-8 byte order mark stands before a BEGIN line: save it without one"},
		"an indented one": {
			ca + "  " + ca, "a BEGIN line does not stand at the beginning of its line: remove what stands before it",
		},
		"a TRUSTED CERTIFICATE": {
			ca + called("TRUSTED CERTIFICATE", nil),
			"the API server passes over blocks TRUSTED CERTIFICATE and X509 CERTIFICATE: convert them by openssl x509",
		},
		"an X509 CERTIFICATE": {
			called("X509 CERTIFICATE", nil),
			"the API server passes over blocks TRUSTED CERTIFICATE and X509 CERTIFICATE: convert them by openssl x509",
		},
		"one with headers": {
			called("CERTIFICATE", map[string]string{"a": "b"}) + ca,
			"the API server passes over certificates with headers: remove the lines between BEGIN and the base64",
		},
		"one without its end": {
			strings.Replace(ca, "-----END", "END", 1) + ca, "the lines of a block are damaged, or one is missing: copy it again from BEGIN to END",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, gen.Overlooked([]byte(tc.data)))
		})
	}
}

func TestARootOfVersion1Signs(t *testing.T) {
	t.Parallel()
	root := newRoot(t, nil)
	root.chain[0] = gentest.V1(t, "old", root.key, now.Add(-time.Hour), 1000*time.Hour)
	a, err := gen.LoadAuthority(root.chain.PEM(), root.keyPEM(t), now)
	require.NoError(t, err)
	b, err := a.Issue(gen.Spec{DNSNames: []string{"a.example.com"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, now)
	require.NoError(t, err)
	assert.Equal(t, root.chain.PEM(), b.CA)
	assert.NoError(t, handshake(b, []string{"a.example.com"}, now))
}

func TestARootThatHasExpiredDoesNotHideATrustedCABelow(t *testing.T) {
	t.Parallel()
	root := newRoot(t, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	inter := root.intermediate(t, "between", nil)
	r, err := gen.NewRequest(gen.Spec{DNSNames: []string{"a.example.com"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}})
	require.NoError(t, err)
	answer := inter.sign(t, r.CSR, nil)
	cas := inter.chain.PEM()
	b, err := gen.Assemble(answer, r.Key, cas, []string{"a.example.com"}, now)
	require.NoError(t, err)
	assert.Equal(t, inter.chain[:1].PEM(), b.CA, "the root is not trusted")
	assert.NoError(t, handshake(b, []string{"a.example.com"}, now))
}
