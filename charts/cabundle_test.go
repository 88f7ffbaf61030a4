package charts

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// certificate makes a certificate, in PEM.
func certificate(t *testing.T, change func(*x509.Certificate)) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "a root"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// versionOne makes a certificate of X.509 v1, as very old roots are, in PEM. Its signature is none, which nobody looks at in a root.
func versionOne(t *testing.T) string {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate(t, func(*x509.Certificate) {})))
	later, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	type validity struct{ NotBefore, NotAfter time.Time }
	type body struct {
		SerialNumber *big.Int
		Algorithm    pkix.AlgorithmIdentifier
		Issuer       asn1.RawValue
		Validity     validity
		Subject      asn1.RawValue
		PublicKey    asn1.RawValue
	}
	der, err := asn1.Marshal(struct {
		Body      body
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		body{
			later.SerialNumber, algorithm, asn1.RawValue{FullBytes: later.RawIssuer}, validity{later.NotBefore.UTC(), later.NotAfter.UTC()},
			asn1.RawValue{FullBytes: later.RawSubject}, asn1.RawValue{FullBytes: later.RawSubjectPublicKeyInfo},
		},
		algorithm,
		asn1.BitString{Bytes: make([]byte, 64), BitLength: 512},
	})
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	require.Equal(t, 1, parsed.Version)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// apiServerReads is how the API server reads a bundle: rest.TLSConfigFor of client-go.
func apiServerReads(content string) bool {
	return x509.NewCertPool().AppendCertsFromPEM([]byte(content))
}

// What the chart takes is what the API server takes.
func TestCABundlesThatAreTakenAreThoseThatTheAPIServerReads(t *testing.T) {
	ca := decodeText(t, caBundle(t))
	begin, end := "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
	lines := strings.Split(strings.TrimSpace(ca), "\n")
	body := strings.Join(lines[1:len(lines)-1], "\n")
	der := func(text string) []byte { block, _ := pem.Decode([]byte(text)); return block.Bytes }
	as := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	for _, c := range []struct{ name, content string }{
		{"one CA", ca},
		{"a CA twice, as during a rotation", ca + ca},
		{"a server's certificate before the CA", serverCertificate + ca},
		{"a server's certificate alone, which may be the one that is served", serverCertificate},
		{"three hundred CAs", strings.Repeat(ca, 300)},
		{"text around it, as openssl prints it", "subject=CN = a CA\n" + ca + "\n"},
		{"text between two", ca + "# another\n" + ca},
		{"text on the line of the end", strings.Replace(ca, end, end+" # the end", 1)},
		{"text on the line of the beginning", strings.Replace(ca, begin, begin+" # the beginning", 1)},
		{"spaces behind the lines of beginning and end", strings.NewReplacer(begin, begin+" \t", end, end+" ").Replace(ca)},
		{"no end of the last line", strings.TrimSpace(ca)},
		{"two that share a line", strings.TrimSpace(ca) + ca},
		{"three of which two share a line", strings.TrimSpace(ca) + ca + ca},
		{"line ends as Windows has them", strings.ReplaceAll(ca, "\n", "\r\n")},
		{"line ends as Windows has them, but the last", strings.TrimSpace(strings.ReplaceAll(ca, "\n", "\r\n"))},
		{"a carriage return at the very end", strings.TrimSpace(ca) + "\r"},
		{"line ends as old Macs had them", strings.ReplaceAll(ca, "\n", "\r")},
		{"a byte order mark", "\ufeff" + ca},
		{"a byte order mark before the first of two", "\ufeff" + ca + ca},
		{"every line indented", "  " + strings.ReplaceAll(strings.TrimSpace(ca), "\n", "\n  ")},
		{"the base64 indented", begin + "\n  " + strings.ReplaceAll(body, "\n", "\n  ") + "\n" + end + "\n"},
		{"the base64 in one line", begin + "\n" + strings.ReplaceAll(body, "\n", "") + "\n" + end + "\n"},
		{"empty lines within", strings.ReplaceAll(ca, "\n", "\n\n")},
		{"headers", begin + "\nName: a CA\n\n" + body + "\n" + end + "\n"},
		{"a TRUSTED CERTIFICATE, as openssl x509 -trustout writes it", as("TRUSTED CERTIFICATE", append(der(ca), 0x30, 0))},
		{"the same under the name of a certificate", as("CERTIFICATE", append(der(ca), 0x30, 0))},
		{"an X509 CERTIFICATE", as("X509 CERTIFICATE", der(ca))},
		{"another word at the end", strings.Replace(ca, end, "-----END X509 CERTIFICATE-----", 1)},
		{"a certificate that is cut off", as("CERTIFICATE", der(ca)[:len(der(ca))-8])},
		{"lines that are missing in the middle", begin + "\n" + lines[1] + "\n" + lines[3] + "\n" + end + "\n"},
		{"a list of revoked ones", as("X509 CRL", der(ca))},
		{
			"PKCS#7 under the name of a certificate",
			as("CERTIFICATE", slices.Concat([]byte{0x30, 0x82, 0x01, 0x00, 0x06, 0x09}, make([]byte, 254))),
		},
		{"a certificate itself, without PEM", string(der(ca))},
		{"UTF-16", utf16(ca)},
		{"base64 of base64", base64.StdEncoding.EncodeToString([]byte(ca))},
		{"JSON", fmt.Sprintf("%q", ca)},
		{"nothing but the frame", begin + "\n" + end + "\n"},
		{"characters that are not base64", strings.Replace(ca, lines[2], lines[2][:10]+"!"+lines[2][11:], 1)},
		{"a root of X.509 v1", versionOne(t)},
		{"a root without basic constraints", certificate(t, func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false })},
		{"a root that has expired", certificate(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(1, 0) })},
		{"a root with name constraints", certificate(t, func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
		})},
		{
			"a root with a serial number of 20 bytes",
			certificate(t, func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 158) }),
		},
		{"a root with a long name", certificate(t, func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("long ", 500) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := helm.Render(
				umbrella, options(t, "{global: {certManagementMode: manual, webhook: {caBundle: '"+encode([]byte(c.content))+"'}}}"),
			)
			if apiServerReads(c.content) {
				assert.NoError(t, err)
			} else {
				assert.Regexp(t, "^ERROR: global.webhook.caBundle (is not PEM: |holds no certificate that the API server would read, )", refusal(err))
			}
		})
	}
}

// utf16 is what a text is in some files of Windows'.
func utf16(text string) string {
	var b bytes.Buffer
	b.WriteString("\xff\xfe")
	for _, r := range []byte(text) {
		b.WriteByte(r)
		b.WriteByte(0)
	}
	return b.String()
}

func TestNotesWarnOfABundleThatTheAPIServerMayNotTrust(t *testing.T) {
	ca := decodeText(t, caBundle(t))
	const (
		noCA = "WARNING: no certificate in global.webhook.caBundle says that it is a CA. The API server trusts it if it is\n" +
			"a root of X.509 v1 or the very certificate that is served, and otherwise refuses every call.\n"
		passedOver = "WARNING: the API server can read 1 of the 2 certificates in global.webhook.caBundle:\n" +
			"BEGIN and END have to start a line, with a whole certificate between them.\n"
	)
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		{"a CA", ca, nil},
		{"a CA behind a server's certificate", serverCertificate + ca, nil},
		{"a server's certificate alone", serverCertificate, []string{noCA}},
		{
			"a root without basic constraints", certificate(t, func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }),
			[]string{noCA},
		},
		{"a byte order mark before the first of two", "\ufeff" + ca + ca, []string{passedOver}},
		{"a byte order mark before the CA, and a server's certificate", "\ufeff" + ca + serverCertificate, []string{passedOver, noCA}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := notes(t, "{global: {certManagementMode: manual, webhook: {caBundle: '"+encode([]byte(c.content))+"'}}}")
			for _, want := range c.want {
				assert.Contains(t, got+"\n", "\n\n"+want)
			}
			assert.Equal(t, len(c.want), strings.Count(got, "WARNING"))
		})
	}
	t.Run("of a component's own, by its path", func(t *testing.T) {
		got := notes(t, manual(t, ", networking: {kthenaRouter: {webhook: {caBundle: '"+encode([]byte(serverCertificate))+"'}}}"))
		assert.Contains(t, got, "WARNING: no certificate in networking.kthenaRouter.webhook.caBundle says")
	})
}
