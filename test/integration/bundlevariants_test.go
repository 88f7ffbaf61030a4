package integration

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
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen/gentest"
)

// variant is a CA bundle as people have them, and a server's certificate.
type variant struct {
	name string
	make func(t *testing.T, v *variant)
	// chart says why the chart judges otherwise, empty when it does not.
	chart string

	namespace string
	bundle    []byte
	cert, key []byte
}

// variants are all: another form of a good bundle, and certificates of every kind.
func variants(t *testing.T) []variant {
	t.Helper()
	all := slices.Concat(forms(), certificates())
	for name, chart := range map[string]string{
		"a private key in front":                 "such a bundle would tell the key to all who may read the configuration",
		"a block that holds half a certificate":  "a template cannot read all of a certificate",
		"bytes behind the certificate's own end": "a template cannot read all of a certificate",
	} {
		i := slices.IndexFunc(all, func(v variant) bool { return v.name == name })
		require.GreaterOrEqual(t, i, 0, name)
		all[i].chart = chart
	}
	return all
}

// forms are a good bundle in other forms.
func forms() []variant {
	text := func(edit func(ca string) string) func([]byte) []byte {
		return func(ca []byte) []byte { return []byte(edit(string(ca))) }
	}
	lines := func(edit func(line string) string) func([]byte) []byte {
		return text(func(ca string) string {
			all := strings.Split(strings.TrimSpace(ca), "\n")
			for i := range all {
				all[i] = edit(all[i])
			}
			return strings.Join(all, "\n") + "\n"
		})
	}
	markers := func(edit func(line string) string) func([]byte) []byte {
		return lines(func(line string) string {
			if strings.HasPrefix(line, "-----") {
				return edit(line)
			}
			return line
		})
	}
	wrapped := func(width int, newline string) func([]byte) []byte {
		return func(ca []byte) []byte {
			block, _ := pem.Decode(ca)
			var b strings.Builder
			for part := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(block.Bytes)), width) {
				b.WriteString(string(part) + newline)
			}
			return []byte("-----BEGIN CERTIFICATE-----" + newline + b.String() + "-----END CERTIFICATE-----" + newline)
		}
	}
	block := func(kind string, headers map[string]string) func([]byte) []byte {
		return func(ca []byte) []byte {
			b, _ := pem.Decode(ca)
			return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: b.Bytes})
		}
	}
	der := func(edit func([]byte) []byte) func([]byte) []byte {
		return func(ca []byte) []byte {
			b, _ := pem.Decode(ca)
			return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: edit(b.Bytes)})
		}
	}
	raw := func(edit func(der []byte) []byte) func([]byte) []byte {
		return func(ca []byte) []byte { b, _ := pem.Decode(ca); return edit(b.Bytes) }
	}
	var all []variant
	for name, edit := range map[string]func(ca []byte) []byte{
		"as it is":                            func(ca []byte) []byte { return ca },
		"lines that end with CRLF":            text(func(ca string) string { return strings.ReplaceAll(ca, "\n", "\r\n") }),
		"lines that end with CR":              text(func(ca string) string { return strings.ReplaceAll(ca, "\n", "\r") }),
		"no newline at the end":               bytes.TrimSpace,
		"a UTF-8 byte order mark":             text(func(ca string) string { return "\ufeff" + ca }),
		"a UTF-8 byte order mark on its line": text(func(ca string) string { return "\ufeff\n" + ca }),
		"a byte order mark between two":       text(func(ca string) string { return string(other()) + "\ufeff" + ca }),
		"indented by two spaces":              lines(func(l string) string { return "  " + l }),
		"indented by a tab":                   lines(func(l string) string { return "\t" + l }),
		"a BEGIN line that is indented":       text(func(ca string) string { return " " + ca }),
		"a body that is indented":             wrappedIndented,
		"an END line that is indented":        text(func(ca string) string { return strings.Replace(ca, "-----END", "  -----END", 1) }),
		"the second of two indented":          text(func(ca string) string { return ca + "  " + string(other()) }),
		"the first of two indented":           text(func(ca string) string { return "  " + string(other()) + ca }),
		"a key of YAML before it":             lines(func(l string) string { return "    " + l }),
		"a key of YAML on the line":           text(func(ca string) string { return "ca.crt: " + ca }),
		"spaces behind the markers":           markers(func(l string) string { return l + "  " }),
		"a tab behind the markers":            markers(func(l string) string { return l + "\t" }),
		"text behind the END line":            text(func(ca string) string { return strings.TrimSpace(ca) + " # the root\n" }),
		"text behind the BEGIN line":          text(func(ca string) string { return strings.Replace(ca, "-----\n", "----- # the root\n", 1) }),
		"text before the BEGIN line":          text(func(ca string) string { return "# the root\n" + ca }),
		"text on the BEGIN line":              text(func(ca string) string { return "root: " + ca }),
		"text after all":                      text(func(ca string) string { return ca + "the end" }),
		"text between blocks":                 text(func(ca string) string { return string(other()) + "\n# Corporate Root\n===\n" + ca }),
		"what openssl x509 -text prints":      text(func(ca string) string { return "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + ca }),
		"what openssl pkcs12 prints": text(
			func(ca string) string { return "Bag Attributes\n    friendlyName: root\nsubject=CN = root\n" + ca },
		),
		"empty lines in the body":             text(func(ca string) string { return strings.ReplaceAll(ca, "\n", "\n\n") }),
		"a body on one line":                  wrapped(1<<16, "\n"),
		"a body of 76 columns":                wrapped(76, "\n"),
		"a body of one column":                wrapped(1, "\n"),
		"a body of 76 columns and CRLF":       wrapped(76, "\r\n"),
		"all on one line":                     text(func(ca string) string { return strings.ReplaceAll(ca, "\n", " ") }),
		"newlines written as backslash and n": text(func(ca string) string { return strings.ReplaceAll(ca, "\n", `\n`) }),
		"quotes around it":                    text(func(ca string) string { return `"` + ca + `"` }),
		"DER":                                 raw(func(der []byte) []byte { return der }),
		"base64 of DER":                       raw(func(der []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(der)) }),
		"PKCS#7 as DER":                       raw(pkcs7),
		"PKCS#7 as PEM": raw(
			func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: pkcs7(der)}) },
		),
		"PKCS#7 that is called CERTIFICATE": der(pkcs7),
		"UTF-16, little endian":             utf16Of(false, true),
		"UTF-16, big endian":                utf16Of(true, true),
		"UTF-16 without a mark":             utf16Of(false, false),
		"base64 twice":                      text(func(ca string) string { return base64.StdEncoding.EncodeToString([]byte(ca)) }),
		"a block TRUSTED CERTIFICATE":       block("TRUSTED CERTIFICATE", nil),
		"a block X509 CERTIFICATE":          block("X509 CERTIFICATE", nil),
		"a block CERTIFICATE REQUEST":       block("CERTIFICATE REQUEST", nil),
		"a TRUSTED CERTIFICATE before it":   func(ca []byte) []byte { return slices.Concat(block("TRUSTED CERTIFICATE", nil)(other()), ca) },
		"a list of revoked ones before it":  func(ca []byte) []byte { return slices.Concat(block("X509 CRL", nil)(other()), ca) },
		"a block with a header":             block("CERTIFICATE", map[string]string{"Name": "root"}),
		"a block with a header before it": func(ca []byte) []byte {
			return slices.Concat(block("CERTIFICATE", map[string]string{"Name": "x"})(other()), ca)
		},
		"a block that says nothing before it": text(
			func(ca string) string { return "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + ca },
		),
		"a block that says nothing":      text(func(string) string { return "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" }),
		"a block that is no certificate": der(func([]byte) []byte { return []byte("nonsense") }),
		"nonsense before it": func(ca []byte) []byte {
			return slices.Concat(der(func([]byte) []byte { return []byte("x") })(ca), ca)
		},
		"a block that holds half a certificate":  der(func(d []byte) []byte { return d[:len(d)/2] }),
		"bytes behind the certificate's own end": der(func(d []byte) []byte { return append(slices.Clone(d), 0) }),
		"no END line":                            text(func(ca string) string { before, _, _ := strings.Cut(ca, "-----END"); return before }),
		"no BEGIN line":                          text(func(ca string) string { _, after, _ := strings.Cut(ca, "\n"); return after }),
		"two BEGIN lines":                        text(func(ca string) string { return "-----BEGIN CERTIFICATE-----\n" + ca }),
		"an END line of another kind":            text(func(ca string) string { return strings.Replace(ca, "END CERTIFICATE", "END X", 1) }),
		"markers in lower case":                  markers(strings.ToLower),
		"markers of four dashes":                 markers(func(l string) string { return strings.ReplaceAll(l, "-----", "----") }),
		"markers of long dashes":                 markers(func(l string) string { return strings.ReplaceAll(l, "-----", "—") }),
		"a character that is no base64":          text(func(ca string) string { return strings.Replace(ca, "-----\nM", "-----\nM*", 1) }),
		"a space that does not break":            text(func(ca string) string { return strings.Replace(ca, "-----\nM", "-----\nM\u00a0", 1) }),
		"base64 of URLs": text(func(ca string) string {
			return strings.NewReplacer("+", "-", "/", "_").Replace(strings.Replace(ca, "-----\n", "-----\nAA/+AA", 1))
		}),
		"NUL bytes at the end":              text(func(ca string) string { return ca + "\x00\x00" }),
		"white space":                       text(func(string) string { return " \n" }),
		"twice the same":                    func(ca []byte) []byte { return slices.Concat(ca, ca) },
		"the CA of somebody else":           func([]byte) []byte { return other() },
		"the CA of somebody else before it": func(ca []byte) []byte { return slices.Concat(other(), ca) },
		"a private key in front": func(ca []byte) []byte {
			return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("key")}), ca)
		},
		"300 CAs, ours the last": func(ca []byte) []byte { return slices.Concat(bytes.Repeat(other(), 10), many(290), ca) },
	} {
		all = append(all, variant{name: name, make: func(t *testing.T, v *variant) {
			root := newAuthority(t, nil, nil)
			root.sign(t, v, nil)
			v.bundle = edit(root.pem())
		}})
	}
	return all
}

// wrappedIndented indents the lines between the markers.
func wrappedIndented(ca []byte) []byte {
	return regexp.MustCompile(`(?m)^([^-])`).ReplaceAll(ca, []byte("  $1"))
}

// other is the CA of somebody else.
func other() []byte { return many(1) }

// many are CAs of others.
func many(n int) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	var all []byte
	for range n {
		c := &x509.Certificate{
			Subject: pkix.Name{CommonName: "other"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true,
		}
		var der []byte
		if err == nil {
			der, err = x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		}
		if err != nil {
			panic(err)
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return all
}

// pkcs7 is a PKCS#7 message without signatures that carries one certificate (RFC 2315, section 9).
func pkcs7(der []byte) []byte {
	type content struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signed, err := asn1.Marshal(struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      content
		Certificates asn1.RawValue
		Signers      []asn1.RawValue `asn1:"set"`
	}{
		Version: 1, Content: content{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der},
	})
	if err != nil {
		panic(err)
	}
	all, err := asn1.Marshal(content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, asn1.RawValue{FullBytes: explicit(signed)}})
	if err != nil {
		panic(err)
	}
	return all
}

// explicit is a value in the tag [0].
func explicit(value []byte) []byte {
	all, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: value})
	if err != nil {
		panic(err)
	}
	return all
}

func utf16Of(bigEndian, mark bool) func([]byte) []byte {
	return func(ca []byte) []byte {
		text := string(ca)
		if mark {
			text = "\ufeff" + text
		}
		var out []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			if bigEndian {
				out = append(out, byte(unit>>8), byte(unit))
			} else {
				out = append(out, byte(unit), byte(unit>>8))
			}
		}
		return out
	}
}

// authority is a CA for variants.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes a CA that is signed by parent, by itself without one, and changed by edit before.
func newAuthority(t *testing.T, parent *authority, edit func(c *x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: t.Name()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent != nil {
		c.Subject.CommonName += " below"
	}
	if edit != nil {
		edit(c)
	}
	if parent == nil {
		parent = &authority{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent.cert, key.Public(), parent.key)
	require.NoError(t, err)
	c, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{c, key}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// sign gives the variant's server a certificate, changed by edit before, and makes it send the others along.
func (a *authority) sign(t *testing.T, v *variant, edit func(c *x509.Certificate), along ...*authority) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	name := service + "." + v.namespace + ".svc"
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, DNSNames: []string{name, name + ".cluster.local"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if edit != nil {
		edit(c)
	}
	if a == nil { // by itself
		a = &authority{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	require.NoError(t, err)
	v.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for _, above := range along {
		v.cert = append(v.cert, above.pem()...)
	}
	der, err = x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	v.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// oldAuthority is a CA of X.509 version 1.
func oldAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &authority{gentest.V1(t, t.Name(), key, time.Now().Add(-time.Hour), 2*time.Hour), key}
}
