package gen_test

import (
	"encoding/pem"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

func TestCheckPublicTellsWhatIsWrongWithoutTheKey(t *testing.T) {
	t.Parallel()
	good := mustGenerate(t, spec(gen.ECDSA, 0), now)
	other := mustGenerate(t, spec(gen.ECDSA, 0), now)
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	for name, tc := range map[string]struct {
		cert, ca []byte
		names    []string // nil: names
		want     []string
	}{
		"nothing with a fresh certificate":            {cert: good.Cert, ca: good.CA},
		"nothing with a key ahead of the certificate": {cert: slices.Concat(good.Key, good.Cert), ca: good.CA},
		"nothing with a root after the certificate":   {cert: slices.Concat(good.Cert, good.CA), ca: good.CA},
		"no certificate at all": {
			ca: good.CA, want: []string{"malformed: the certificate is missing or empty"},
		},
		"neither": {
			want: []string{"malformed: the CA set is missing or empty", "malformed: the certificate is missing or empty"},
		},
		"text": {
			cert: []byte("x"), ca: good.CA, want: []string{"malformed: the certificate holds no certificate"},
		},
		"a key instead of the certificate": {
			cert: good.Key, ca: good.CA, want: []string{"malformed: the certificate holds no certificate"},
		},
		"a certificate that is none": {
			cert: broken, ca: good.CA, want: []string{"malformed: the certificate is not readable: x509: malformed certificate"},
		},
		"one after the certificate that is none": {
			cert: slices.Concat(good.Cert, broken), ca: good.CA,
			want: []string{"malformed: the certificate is not readable: x509: malformed certificate"},
		},
		"a CA of the same name": {
			cert: good.Cert, ca: other.CA, want: []string{"chain: no CA of the set has signed the certificate"},
		},
		"a certificate for other names": {
			cert: good.Cert, ca: good.CA, names: []string{"a.svc"},
			want: []string{"dns-names: the certificate is not for a.svc: it is for " + names[0] + ", " + names[1]},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wanted := tc.names
			if wanted == nil {
				wanted = names
			}
			v := gen.CheckPublic(tc.cert, tc.ca, wanted, now)
			var got []string
			for _, f := range v.Faults {
				got = append(got, f.String())
			}
			assert.Equal(t, tc.want, got)
			if tc.want == nil {
				require.NotNil(t, v.Leaf)
				assert.Equal(t, gen.Check(good, names, now).Leaf.Raw, v.Leaf.Raw)
			}
		})
	}
}
