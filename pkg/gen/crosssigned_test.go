package gen_test

import (
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// crossSigned are two CAs of which each has signed the other's certificate, as PKIs do while they change over from one root to another.
// Neither certificate is self-signed, so the way up from one leads round in a circle.
func crossSigned(t *testing.T) (one, other *somebody) {
	t.Helper()
	one, other = newRoot(t, nil), newRoot(t, nil)
	sign := func(ca, by *somebody) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, ca.chain[0], by.chain[0], ca.key.Public(), by.key)
		require.NoError(t, err)
		c, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return c
	}
	a, b := sign(one, other), sign(other, one)
	one.chain, other.chain = gen.CASet{a, b}, gen.CASet{b, a}
	return one, other
}

func TestTheWayUpFromCrossSignedCAsEnds(t *testing.T) {
	t.Parallel()
	one, other := crossSigned(t)
	r, err := gen.NewRequest(spec(gen.ECDSA, 0))
	require.NoError(t, err)
	all := one.chain.PEM()
	for name, bundle := range map[string]func() (gen.Bundle, error){
		"when one of them signs here": func() (gen.Bundle, error) {
			a, err := gen.LoadAuthority(all, one.keyPEM(t), now)
			if err != nil {
				return gen.Bundle{}, err
			}
			return a.Issue(spec(gen.ECDSA, 0), now)
		},
		"when one of them has signed elsewhere": func() (gen.Bundle, error) {
			return gen.Assemble(one.sign(t, r.CSR, nil), r.Key, all, names, now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type result struct {
				gen.Bundle
				error
			}
			done := make(chan result, 1)
			go func() {
				b, err := bundle()
				done <- result{b, err}
			}()
			select {
			case res := <-done:
				require.NoError(t, res.error)
				assert.Equal(t, string(other.chain[:1].PEM()), string(res.CA), "the last that is known is trusted")
				require.NoError(t, handshake(res.Bundle, names, now))
			case <-time.After(10 * time.Second):
				require.Fail(t, "it goes round in a circle")
			}
		})
	}
}

// RFC 5280, section 4.2.1.3: a certificate without the extension may be used for anything.
func TestACAWithoutAKeyUsageSigns(t *testing.T) {
	t.Parallel()
	root := newRoot(t, func(c *x509.Certificate) { c.KeyUsage = 0 })
	require.Zero(t, root.chain[0].KeyUsage)
	a, err := gen.LoadAuthority(root.chain.PEM(), root.keyPEM(t), now)
	require.NoError(t, err)
	b, err := a.Issue(spec(gen.ECDSA, 0), now)
	require.NoError(t, err)
	require.NoError(t, handshake(b, names, now))
}
