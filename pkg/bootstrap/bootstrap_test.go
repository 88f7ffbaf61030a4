package bootstrap_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

var (
	now  = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	spec = gen.Spec{DNSNames: []string{"webhook.ns.svc"}, Validity: gen.DefaultValidity, Key: gen.KeySpec{Algorithm: gen.Ed25519}}
)

func free(string) {}

func TestAPassFillsSecretConfigurationAndFiles(t *testing.T) {
	t.Parallel()
	m := newMemory()
	p := newPass(m, free)
	p.Dir = t.TempDir()
	sum, err := p.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "ns/certs", sum.Secret)
	assert.Equal(t, "created", sum.Reason)
	assert.Equal(t, 1, sum.CAs)
	assert.Equal(t, now.Add(gen.DefaultValidity), *sum.NotAfter)
	assert.True(t, sum.WebhookConfigurations[0].Patched)
	assert.Equal(t, "written", sum.Files)
	for name, data := range m.secret.Data {
		file, err := os.ReadFile(filepath.Join(p.Dir, name))
		require.NoError(t, err)
		assert.Equal(t, string(data), string(file))
	}
	for _, e := range m.config.Entries {
		assert.Equal(t, string(m.secret.Data["ca.crt"]), string(e.CABundle))
	}

	again := newPass(m, free)
	again.Dir = p.Dir
	sum, err = again.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "reused", sum.Reason)
	assert.False(t, sum.WebhookConfigurations[0].Patched)
	assert.Equal(t, "unchanged", sum.Files)
}

func TestNothingIsTrustedOrWrittenWithoutASecret(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.secret = &core.Secret{ObjectMeta: metav1.ObjectMeta{Name: "certs"}} // of somebody else, and empty
	p := newPass(m, free)
	p.Dir = t.TempDir()
	sum, err := p.Run(t.Context())
	var refused *secret.RefusedError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, secret.Reason("refused:foreign-malformed"), refused.Reason)
	assert.Empty(t, sum.Reason)
	assert.Equal(t, "none", sum.Files)
	assert.Nil(t, m.config.Entries[0].CABundle)
	entries, err := os.ReadDir(p.Dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestASecretOfSomebodyElseMayHaveAnyNumberOfCAs(t *testing.T) {
	t.Parallel()
	for _, number := range []int{9, 300} {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			t.Parallel()
			b := generate(t, now)
			signer := b.CA
			for range number - 1 {
				b.CA = append(generate(t, now).CA, b.CA...)
			}
			m := newMemory()
			m.secret = secretOf(b)
			m.secret.Labels = nil
			before := m.secret.DeepCopy()
			served := generate(t, now) // by a pod of before
			m.config.Entries[0].CABundle = served.CA
			sum, err := newPass(m, free).Run(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "reused", sum.Reason)
			assert.Equal(t, number, sum.CAs)
			own, _ := gen.ParseCertificates(signer)
			assert.Equal(t, gen.Fingerprint(own[0]), sum.CAFingerprint, "that of the CA that signed the certificate, wherever it is")
			assert.Equal(t, before, m.secret)
			for _, e := range m.config.Entries {
				require.NoError(t, verify(e.CABundle, m.secret.Data))
				live, _ := gen.ParseCertificates(e.CABundle)
				assert.GreaterOrEqual(t, len(live), number)
			}
			require.NoError(t, verify(m.config.Entries[0].CABundle, secretOf(served).Data), "who is served stays trusted")
		})
	}
}

func TestAPassIsRefusedWhereItsCADoesNotFitIn(t *testing.T) {
	t.Parallel()
	m := newMemory()
	large := largeSecret(t).Data["ca.crt"]
	m.config.Entries[0].CABundle = slices.Concat(large, largeSecret(t).Data["ca.crt"], largeSecret(t).Data["ca.crt"])
	m.config.Entries[1].CABundle = large
	before := slices.Clone(m.config.Entries)
	p := newPass(m, free)
	p.Dir = t.TempDir()
	var told []string
	p.Events = events(func(_ context.Context, e *core.Event) error {
		assert.Equal(t, "certs", e.InvolvedObject.Name)
		told = append(told, e.Type+" "+e.Reason+" "+e.Message)
		return nil
	})
	sum, err := p.Run(t.Context())
	require.ErrorContains(t, err, "patching ValidatingWebhookConfiguration hooks: refused:bundle-full: ")
	assert.Equal(t, "refused:bundle-full", bootstrap.Refused(err))
	assert.Equal(t, "none", sum.Files)
	assert.Equal(t, before, m.config.Entries)
	slices.Sort(told)
	require.Len(t, told, 2)
	assert.Contains(t, told[1], "Warning Refused refused:bundle-full: ")
	assert.Empty(t, bootstrap.Refused(context.Canceled))
}

func TestAFolderThatIsGoneIsNamed(t *testing.T) {
	t.Parallel()
	p := newPass(newMemory(), free)
	p.Dir = filepath.Join(t.TempDir(), "gone")
	sum, err := p.Run(t.Context())
	require.ErrorContains(t, err, "writing the files to "+p.Dir+": making a folder for the new files: ")
	assert.Equal(t, "created", sum.Outcome, "what was done is told")
}

func generate(t testing.TB, at time.Time) gen.Bundle {
	t.Helper()
	b, err := gen.Generate(spec, at)
	require.NoError(t, err)
	return b
}

// secretOf is a Secret of ours with b.
func secretOf(b gen.Bundle) *core.Secret {
	return &core.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "certs", Labels: map[string]string{secret.LabelManagedBy: secret.ManagedBy}},
		Type:       core.SecretTypeTLS,
		Data:       map[string][]byte{"ca.crt": b.CA, "tls.crt": b.Cert, "tls.key": b.Key},
	}
}

func fingerprints(certs []*x509.Certificate) []string {
	var all []string
	for _, c := range certs {
		all = append(all, gen.Fingerprint(c))
	}
	return all
}
