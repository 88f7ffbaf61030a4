package gen_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

var (
	now   = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	names = []string{"registry-webhook.kthena-system.svc", "registry-webhook.kthena-system.svc.cluster.local"}
)

func spec(alg string, size int) gen.Spec {
	return gen.Spec{DNSNames: names, Validity: gen.DefaultValidity, Key: gen.KeySpec{Algorithm: alg, Size: size}}
}

func mustGenerate(t testing.TB, s gen.Spec, at time.Time) gen.Bundle {
	t.Helper()
	b, err := gen.Generate(s, at)
	require.NoError(t, err)
	return b
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		key  gen.KeySpec
		bits int
	}{
		"makes an ECDSA P-256 chain when no size is given": {gen.KeySpec{Algorithm: gen.ECDSA}, 256},
		"makes an ECDSA P-384 chain":                       {gen.KeySpec{Algorithm: gen.ECDSA, Size: 384}, 384},
		"makes an RSA 2048 chain when no size is given":    {gen.KeySpec{Algorithm: gen.RSA}, 2048},
		"makes an RSA 3072 chain":                          {gen.KeySpec{Algorithm: gen.RSA, Size: 3072}, 3072},
		"makes an Ed25519 chain":                           {gen.KeySpec{Algorithm: gen.Ed25519}, 256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := tc.key
			b := mustGenerate(t, spec(key.Algorithm, key.Size), now)
			r := gen.Check(b, names, now)
			require.Empty(t, r.Faults)
			assert.Empty(t, r.Warnings)
			require.Len(t, r.CAs, 1)
			ca, leaf := r.CAs[0], r.Leaf
			require.NoError(t, handshake(b, names, now))
			require.NoError(t, handshake(b, names, now.Add(-time.Hour)), "a client whose clock is behind accepts it too")

			assert.Equal(t, tc.bits, bits(t, leaf.PublicKey))
			assert.Equal(t, tc.bits, bits(t, ca.PublicKey))
			assert.Equal(t, now.Add(-time.Hour), leaf.NotBefore)
			assert.Equal(t, now.Add(10*365*24*time.Hour), leaf.NotAfter, "ten years")
			assert.Equal(t, leaf.NotBefore, ca.NotBefore)
			assert.Equal(t, leaf.NotAfter, ca.NotAfter)
			assert.Equal(t, leaf.NotAfter, r.NotAfter)
			assert.Equal(t, names, leaf.DNSNames)
			assert.False(t, leaf.IsCA)
			assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, leaf.ExtKeyUsage)
			wantUsage := x509.KeyUsageDigitalSignature
			if key.Algorithm == gen.RSA {
				wantUsage |= x509.KeyUsageKeyEncipherment
			}
			assert.Equal(t, wantUsage, leaf.KeyUsage)

			assert.True(t, ca.IsCA)
			assert.True(t, ca.MaxPathLenZero)
			assert.Equal(t, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, ca.KeyUsage)
			assert.NotEmpty(t, ca.SubjectKeyId)
			assert.Equal(t, ca.SubjectKeyId, leaf.AuthorityKeyId)
			assert.Equal(t, 1, ca.SerialNumber.Sign())
			assert.NotEqual(t, ca.SerialNumber, leaf.SerialNumber)
			assert.Contains(t, string(b.Key), "-----BEGIN PRIVATE KEY-----", "PKCS#8")
		})
	}
}

// bits is the size of a key as certificates are spoken of.
func bits(t *testing.T, key any) int {
	t.Helper()
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize
	case *rsa.PublicKey:
		return key.N.BitLen()
	}
	require.IsType(t, ed25519.PublicKey{}, key)
	return 8 * ed25519.PublicKeySize
}

func TestGenerateMakesANewCAEachTime(t *testing.T) {
	t.Parallel()
	a := gen.Check(mustGenerate(t, spec(gen.ECDSA, 0), now), names, now).CAs[0]
	b := gen.Check(mustGenerate(t, spec(gen.ECDSA, 0), now), names, now).CAs[0]
	assert.NotEqual(t, a.SubjectKeyId, b.SubjectKeyId)
	assert.NotEqual(t, a.SerialNumber, b.SerialNumber)
	assert.NotEqual(t, gen.Fingerprint(a), gen.Fingerprint(b))
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, gen.Fingerprint(a))
}

func TestGenerateKeepsCommonNamesShort(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("n", 63)
	long := label + "." + label + "." + label + ".svc"
	s := spec(gen.ECDSA, 0)
	s.DNSNames = []string{long}
	r := gen.Check(mustGenerate(t, s, now), s.DNSNames, now)
	require.Empty(t, r.Faults)
	assert.LessOrEqual(t, len(r.Leaf.Subject.CommonName), 64)
	assert.NotContains(t, r.Leaf.Subject.CommonName, label)
}

func TestSpecValidate(t *testing.T) {
	t.Parallel()
	with := func(change func(*gen.Spec)) gen.Spec {
		s := spec(gen.ECDSA, 256)
		change(&s)
		return s
	}
	long := strings.Repeat("a.", 127) + "b"
	for name, tc := range map[string]struct {
		spec gen.Spec
		want string // empty: valid
	}{
		"accepts the defaults":             {spec: spec(gen.ECDSA, 0)},
		"accepts the shortest validity":    {spec: with(func(s *gen.Spec) { s.Validity = time.Hour })},
		"accepts the longest validity":     {spec: with(func(s *gen.Spec) { s.Validity = gen.MaxValidity })},
		"accepts a name of 253 characters": {spec: with(func(s *gen.Spec) { s.DNSNames = []string{long[2:]} })},
		"refuses no DNS name":              {with(func(s *gen.Spec) { s.DNSNames = nil }), "at least one DNS name is needed"},
		"refuses an empty DNS name":        {with(func(s *gen.Spec) { s.DNSNames = []string{""} }), "a DNS name must not be empty"},
		"refuses a wildcard": {
			with(func(s *gen.Spec) { s.DNSNames = []string{"*.svc"} }),
			`DNS name "*.svc" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots`,
		},
		"refuses an IP address": {
			with(func(s *gen.Spec) { s.DNSNames = []string{"1.2.3.4"} }), `DNS name "1.2.3.4" is an IP address: use a name`,
		},
		"refuses an upper-case name": {
			with(func(s *gen.Spec) { s.DNSNames = []string{"A.svc"} }),
			`DNS name "A.svc" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots`,
		},
		"refuses a dot at the end": {
			with(func(s *gen.Spec) { s.DNSNames = []string{"a.svc."} }),
			`DNS name "a.svc." is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots`,
		},
		"refuses a hyphen at the beginning": {
			with(func(s *gen.Spec) { s.DNSNames = []string{"-a.svc"} }),
			`DNS name "-a.svc" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots`,
		},
		"refuses a hyphen at the end": {
			with(func(s *gen.Spec) { s.DNSNames = []string{"a-.svc"} }),
			`DNS name "a-.svc" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots`,
		},
		"refuses an underscore": {
			with(func(s *gen.Spec) { s.DNSNames = []string{"a_b.svc"} }),
			`DNS name "a_b.svc" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, joined by dots`,
		},
		"refuses a label of 64 characters": {
			with(func(s *gen.Spec) { s.DNSNames = []string{strings.Repeat("a", 64)} }),
			`DNS name "` + strings.Repeat("a", 64) + `" is malformed: want labels of 1 to 63 lower-case letters, digits and inner hyphens, ` +
				`joined by dots`,
		},
		"refuses a name of 255 characters": {
			with(func(s *gen.Spec) { s.DNSNames = []string{long} }), `DNS name "` + long + `" has 255 characters: at most 253 are allowed`,
		},
		"refuses a validity below an hour": {
			with(func(s *gen.Spec) { s.Validity = 59 * time.Minute }), "a validity of 59m0s is not allowed: use 1h to 876000h",
		},
		"refuses a negative validity": {
			with(func(s *gen.Spec) { s.Validity = -time.Hour }), "a validity of -1h0m0s is not allowed: use 1h to 876000h",
		},
		"refuses a validity beyond a century": {
			with(func(s *gen.Spec) { s.Validity = gen.MaxValidity + 1 }), "a validity of 876000h0m0.000000001s is not allowed: use 1h to 876000h",
		},
		"refuses an unknown algorithm": {
			with(func(s *gen.Spec) { s.Key.Algorithm = "DSA" }), `key algorithm "DSA" is unknown: use ECDSA, RSA, Ed25519`,
		},
		"refuses a size ECDSA does not have": {
			with(func(s *gen.Spec) { s.Key.Size = 224 }), "key size 224 is not allowed for ECDSA: use 256, 384",
		},
		"refuses a size RSA does not have": {
			with(func(s *gen.Spec) { s.Key = gen.KeySpec{Algorithm: gen.RSA, Size: 1024} }),
			"key size 1024 is not allowed for RSA: use 2048, 3072, 4096",
		},
		"refuses any size for Ed25519": {
			with(func(s *gen.Spec) { s.Key = gen.KeySpec{Algorithm: gen.Ed25519, Size: 256} }),
			"key size 256 is not allowed: Ed25519 keys have no size, use 0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.spec.Validate()
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.want)
			_, err = gen.Generate(tc.spec, now)
			require.EqualError(t, err, tc.want)
		})
	}
}

func TestRenewBefore(t *testing.T) {
	t.Parallel()
	s := gen.Spec{Validity: 90 * time.Hour}
	assert.Equal(t, 30*time.Hour, s.RenewBefore(0), "a third of the validity when nothing is asked for")
	assert.Equal(t, 5*time.Hour, s.RenewBefore(5*time.Hour))
}

func TestARenewalIsDueHalfAMinuteAfterTheBeginningAtTheEarliest(t *testing.T) {
	t.Parallel()
	s := spec(gen.ECDSA, 0)
	s.Validity = time.Hour
	assert.Equal(t, 59*time.Minute+30*time.Second, s.MaxRenewBefore())
	assert.Equal(t, 20*time.Minute, s.RenewBefore(0), "a third of the validity when nothing is wanted")
	assert.Equal(t, time.Minute, s.RenewBefore(time.Minute))
}
