package gen_test

import (
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Proth primes, k*2^n+1: keys of the longest sizes are put together from them, where a search for primes would take minutes.
type proth struct {
	k int64
	n uint
}

func (p proth) value() *big.Int {
	v := new(big.Int).Lsh(big.NewInt(p.k), p.n)
	return v.Add(v, big.NewInt(1))
}

func rsaKeyOf(t *testing.T, a, b proth) *rsa.PrivateKey {
	t.Helper()
	const e = 65537
	p, q, one := a.value(), b.value(), big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: e},
		D:         new(big.Int).ModInverse(big.NewInt(e), phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	require.NoError(t, key.Validate())
	return key
}

func TestRSAKeysAreRefusedThatTLSCannotUse(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	for name, tc := range map[string]struct {
		a, b proth
		bits int
		want string
	}{
		"shorter than the shortest": {
			proth{65496, 496}, proth{65282, 495}, 1023, "key-type: an RSA key of 1023 bits cannot serve TLS: use 2048 to 4096",
		},
		"the shortest": {proth{65496, 496}, proth{65455, 496}, 1024, ""},
		"the longest":  {proth{65187, 4080}, proth{63423, 4080}, 8192, ""},
		"longer than the longest": {
			proth{65187, 4080}, proth{3866, 4085}, 8193, "key-type: an RSA key of 8193 bits cannot serve TLS: use 2048 to 4096",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := rsaKeyOf(t, tc.a, tc.b)
			require.Equal(t, tc.bits, key.N.BitLen())
			cert := sign(t, leafTemplate(), p.root.cert, key, p.root.key)
			b := gen.Bundle{CA: pemCert(p.root.cert.Raw), Cert: pemCert(cert.Raw), Key: pemKey(t, key)}
			r, err := gen.Check(b, names, now), handshake(b, names, now)
			if tc.want == "" {
				assert.Empty(t, r.Faults)
				require.NoError(t, err)
				return
			}
			require.Len(t, r.Faults, 1)
			assert.Equal(t, tc.want, r.Faults[0].String())
			require.Error(t, err, "a real client does not come to terms with such a server either")
		})
	}
}
