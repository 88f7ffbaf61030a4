package bootstrap_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// FuzzStoredSecret looks for contents of a Secret on which a pass panics, or after which the API server would not trust
// the server. Run it with -fuzzminimizetime=1x: new keys make the coverage differ from run to run.
func FuzzStoredSecret(f *testing.F) {
	b, other := generate(f, now), generate(f, now)
	f.Add(b.CA, b.Cert, b.Key, "kubernetes.io/tls", true, false)
	f.Add(b.CA, b.Cert, b.Key, "Opaque", false, true)
	f.Add(other.CA, b.Cert, b.Key, "kubernetes.io/tls", true, true)
	f.Add(append(other.CA, b.CA...), b.Cert, other.Key, "kubernetes.io/tls", false, false)
	f.Add([]byte(nil), []byte("garbage"), b.Key, "", true, false)
	f.Fuzz(func(t *testing.T, ca, cert, key []byte, kind string, ours, immutable bool) {
		m := newMemory()
		m.secret = &core.Secret{Type: kind, Immutable: ptr.To(immutable), Data: map[string][]byte{"ca.crt": ca, "tls.crt": cert, "tls.key": key}}
		m.secret.Name, m.secret.UID = "certs", types.UID("stored")
		if ours {
			m.secret.Labels = map[string]string{secret.LabelManagedBy: secret.ManagedBy}
		}
		before := m.secret.DeepCopy()
		_, err := newPass(m, free).Run(t.Context())
		var refused *secret.RefusedError
		if errors.As(err, &refused) {
			require.False(t, ours, "what is ours is repaired")
			require.Error(t, verify(ca, before.Data), "a good certificate is used")
		} else {
			require.NoError(t, err)
			for _, e := range m.config.Entries {
				require.NoError(t, verify(e.CABundle, m.secret.Data))
			}
		}
		if !ours {
			require.Equal(t, before, m.secret)
		}
	})
}

// verify is the API server's verification of a server with a Secret's contents, less the connection.
func verify(bundle []byte, data map[string][]byte) error {
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		return err
	}
	opts := x509.VerifyOptions{DNSName: spec.DNSNames[0], CurrentTime: now, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	opts.Roots.AppendCertsFromPEM(bundle)
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		opts.Intermediates.AddCert(c)
	}
	_, err = pair.Leaf.Verify(opts)
	return err
}
