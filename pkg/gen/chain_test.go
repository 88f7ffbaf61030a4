package gen_test

import (
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

func TestAChainIsVerifiedByANameAtATime(t *testing.T) {
	t.Parallel()
	b := mustGenerate(t, spec(gen.ECDSA, 0), now)
	chain, _ := gen.ParseCertificates(b.Cert)
	cas, _ := gen.ParseCertificates(b.CA)
	for _, name := range []string{names[0], ""} {
		root, notAfter, err := gen.VerifyChain(chain, cas, name, now)
		require.NoError(t, err)
		assert.Equal(t, cas[0], root)
		assert.Equal(t, now.Add(gen.DefaultValidity), notAfter)
	}
	for want, refused := range map[error]func() error{
		x509.HostnameError{}:           func() error { _, _, err := gen.VerifyChain(chain, cas, "other.svc", now); return err },
		x509.CertificateInvalidError{}: func() error { _, _, err := gen.VerifyChain(chain, cas, "", now.Add(-2*time.Hour)); return err },
		x509.UnknownAuthorityError{}:   func() error { _, _, err := gen.VerifyChain(chain, nil, "", now); return err },
	} {
		assert.Equal(t, fmt.Sprintf("%T", want), fmt.Sprintf("%T", refused()))
	}
}
