package gen

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"regexp"
)

var (
	// beginning is the line that begins a certificate, wherever it stands and whichever name it has there.
	beginning = regexp.MustCompile(`-----BEGIN (?:(TRUSTED |X509 )?CERTIFICATE|PKCS7|CMS)-----`)
	// signedData is the object identifier that PKCS#7 (RFC 2315, section 14) begins with, after the header of its sequence.
	signedData = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
	// armored is how the base64 form of PEM begins.
	armored = []byte(base64.StdEncoding.EncodeToString([]byte("-----BEGIN ")[:9]))

	markUTF8  = []byte("\ufeff")
	markUTF16 = [][]byte{{0xff, 0xfe}, {0xfe, 0xff}}
)

// How what was overlooked becomes readable. None of it is read here, because no API server reads it.
const (
	asDER      = "it is DER, not PEM: convert it by openssl x509 -inform der"
	asPKCS7    = "it is PKCS#7: convert it by openssl pkcs7 -print_certs"
	asUTF16    = "it is UTF-16: save it as plain text, without a byte order mark"
	asBase64   = "it is base64 of PEM: decode it once"
	asMarked   = "a UTF-8 byte order mark stands before a BEGIN line: save it without one"
	asIndented = "a BEGIN line does not stand at the beginning of its line: remove what stands before it"
	asTrusted  = "the API server passes over blocks TRUSTED CERTIFICATE and X509 CERTIFICATE: convert them by openssl x509"
	asHeaders  = "the API server passes over certificates with headers: remove the lines between BEGIN and the base64"
	asDamaged  = "the lines of a block are damaged, or one is missing: copy it again from BEGIN to END"
)

// Overlooked says why data has less certificates to ParseCertificates, and so to the API server, than to who looks at it, and
// what helps. It is empty when there is no such reason.
func Overlooked(data []byte) string {
	if !beginning.Match(data) {
		return otherForm(data)
	}
	for _, at := range beginning.FindAllIndex(data, -1) {
		before, block := data[:at[0]], data[at[0]:]
		switch {
		case bytes.HasSuffix(before, markUTF8):
			return asMarked
		case at[0] > 0 && before[at[0]-1] != '\n':
			return asIndented
		}
		if next := beginning.FindIndex(block[1:]); next != nil {
			block = block[:1+next[0]]
		}
		found, _ := pem.Decode(block)
		switch {
		case found == nil:
			return asDamaged
		case found.Type == "PKCS7" || found.Type == "CMS":
			return asPKCS7
		case found.Type != blockCertificate:
			return asTrusted
		case len(found.Headers) > 0:
			return asHeaders
		}
	}
	return ""
}

// otherForm says what data without any PEM is, as far as it is a known form of certificates.
func otherForm(data []byte) string {
	for _, mark := range markUTF16 {
		if bytes.HasPrefix(data, mark) {
			return asUTF16
		}
	}
	_, err := x509.ParseCertificate(data)
	switch {
	case err == nil:
		return asDER
	case bytes.Contains(data[:min(len(data), 20)], signedData):
		return asPKCS7
	case bytes.HasPrefix(bytes.TrimSpace(data), armored):
		return asBase64
	case bytes.Contains(data, []byte("-\x00-\x00")):
		return asUTF16
	}
	return ""
}

// noCertificate says that a part holds no certificate, and why where that is known.
func noCertificate(part string, data []byte) string {
	if overlooked := Overlooked(data); overlooked != "" {
		return part + " holds no certificate that can be read: " + overlooked
	}
	return part + " holds no certificate"
}
