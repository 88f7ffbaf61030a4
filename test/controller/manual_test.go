package controller

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// company is a CA of the user's, which signs the certificates of all webhooks.
type company struct {
	*gen.Authority
	// cert is the CA's own certificate.
	cert []byte
}

func newCompany(t *testing.T) company {
	t.Helper()
	a, err := gen.NewAuthority(gen.Spec{DNSNames: []string{"a"}, Validity: 24 * time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
	require.NoError(t, err)
	return company{a, nil}
}

// issue puts a new certificate into the Secret of a subchart's webhook, which it makes if need be, as a user of manual mode
// does.
func (c *company) issue(t *testing.T, i *charttest.Installation, subchart string) {
	t.Helper()
	name := subchart + "-webhook." + i.Namespace + ".svc"
	b, err := c.Issue(gen.Spec{DNSNames: []string{name}, Validity: 24 * time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
	require.NoError(t, err)
	c.cert = b.CA
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: charttest.OwnSecret(subchart)}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": b.Cert, "tls.key": b.Key},
	}
	secrets := env.Client.CoreV1().Secrets(i.Namespace)
	if _, err = secrets.Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		_, err = secrets.Create(t.Context(), s, metav1.CreateOptions{})
	}
	require.NoError(t, err)
}

// leafOf is the fingerprint of the certificate in a Secret without a CA.
func leafOf(t *testing.T, i *charttest.Installation, secret string) string {
	t.Helper()
	s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), secret, metav1.GetOptions{})
	require.NoError(t, err)
	certs, _ := gen.ParseCertificates(s.Data["tls.crt"])
	require.NotEmpty(t, certs)
	return gen.Fingerprint(certs[0])
}

// manual are the values of manual mode that trust a bundle.
func manual(bundle []byte) map[string]any {
	return charttest.Merged(
		charttest.InManualMode(replicas, bundle), charttest.Merged(charttest.PerComponent(map[string]any{"replicas": replicas}), quick),
	)
}

func TestAManualSecretIsServedWhenItIsTrustedAndNotBefore(t *testing.T) {
	i := env.Prepare(t)
	t.Cleanup(func() { explain(t, i) })
	first, second := newCompany(t), newCompany(t)
	for subchart := range subcharts {
		first.issue(t, i, subchart)
	}
	i.Install(t, manual(first.cert))
	secret := charttest.OwnSecret("registry")
	before := generations(t, i)

	p := i.Probe(t, 60)
	first.issue(t, i, "registry")
	awaitServed(t, i, "registry-webhook", leafOf(t, i, secret), replicas)
	i.Settle(t)
	report := p.Stop()
	t.Logf("a Secret of the same CA is served: %s", charttest.Figures(report))
	charttest.AssertNoneBroken(t, report)
	before["kthena-registry"]++
	require.Equal(t, before, generations(t, i))

	p = i.Probe(t, 60)
	old := leafOf(t, i, secret)
	second.issue(t, i, "registry")
	require.Eventually(t, func() bool { return events(t, i, "Secret", secret)["SecretUntrusted"] != "" }, patience, 100*time.Millisecond)
	message := events(t, i, "Secret", secret)["SecretUntrusted"]
	assert.Contains(
		t, message,
		"Secret "+i.Namespace+"/"+secret+": its certificate "+leafOf(t, i, secret)[:len("sha256:")+12]+
			" was signed by no CA that is trusted by webhook ",
	)
	assert.Contains(
		t, metricsOf(t, i), `kthena_certgen_finding{component="kthena-registry",service="registry-webhook",code="secret-untrusted"} 1`,
	)
	assert.Contains(t, metricsOf(t, i), `kthena_certgen_refusals_total{component="kthena-registry",code="secret-untrusted"} 1`)
	assert.Equal(t, []string{old, old, old}, served(t, i, "registry-webhook"), "what is trusted goes on being served")
	assert.Equal(t, before, generations(t, i), "and no pod is rolled")

	var both bytes.Buffer
	both.Write(first.cert)
	both.Write(second.cert)
	i.Upgrade(t, charttest.Merged(manual(both.Bytes()), map[string]any{"global": map[string]any{"webhook": map[string]any{
		"caBundle": base64.StdEncoding.EncodeToString(both.Bytes()),
	}}}))
	awaitServed(t, i, "registry-webhook", leafOf(t, i, secret), replicas)
	i.Settle(t)
	report = p.Stop()
	t.Logf("one of a CA that the bundle lacks is served after the bundle was upgraded: %s", charttest.Figures(report))
	charttest.AssertNoneBroken(t, report)
}

// The bundle of manual mode goes away in the upgrade itself, and old pods serve what it trusted until they are replaced. The
// manual says how to close this gap; with the controller it is as long as it was.
func TestAPlainUpgradeFromManualToAutoHasAGap(t *testing.T) {
	i := env.Prepare(t)
	t.Cleanup(func() { explain(t, i) })
	c := newCompany(t)
	for subchart := range subcharts {
		c.issue(t, i, subchart)
	}
	i.Install(t, manual(c.cert))
	p := i.Probe(t, 60)
	i.Upgrade(t, charttest.Merged(charttest.PerComponent(map[string]any{"replicas": replicas}), quick))
	i.Settle(t)
	i.RequireAdmission(t, charttest.Entries)
	report := p.Stop()
	t.Logf("manual -> auto by a plain upgrade: %s", charttest.Figures(report))
	assert.Less(t, report.LongestGap, time.Minute)
}
