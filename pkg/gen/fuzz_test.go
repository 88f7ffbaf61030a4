package gen_test

import (
	"bytes"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// FuzzCheck looks for material on which Check panics or disagrees with a real handshake. With der, the three parts are
// the contents of PEM blocks, so that a change reaches the certificates and not only the text around them.
//
// Run it with -fuzzminimizetime=1x: the coverage of a handshake differs from run to run, and without the flag nearly all
// of the time goes into minimizing inputs that are not new.
func FuzzCheck(f *testing.F) {
	b := mustGenerate(f, spec(gen.ECDSA, 0), now)
	f.Add(b.CA, b.Cert, b.Key, false)
	f.Add(b.Cert, b.CA, b.Key, false)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), b.Cert, b.Key, false)
	f.Add(b.CA, append(bytes.Clone(b.Cert), b.CA...), b.Key, false)
	f.Add(der(b.CA), der(b.Cert), der(b.Key), true)
	f.Fuzz(func(t *testing.T, ca, cert, key []byte, der bool) {
		m := gen.Bundle{CA: ca, Cert: cert, Key: key}
		if der {
			m = gen.Bundle{CA: pemCert(ca), Cert: pemCert(cert), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})}
		}
		r := gen.Check(m, names, now)
		if r.OK() {
			require.NoError(t, handshake(m, names, now))
		} else {
			require.Error(t, handshake(m, names, now), "%v", r.Faults)
		}
	})
}

func der(data []byte) []byte {
	block, _ := pem.Decode(data)
	return block.Bytes
}
