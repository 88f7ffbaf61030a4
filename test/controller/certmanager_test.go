package controller

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

var inCertManagerMode = map[string]any{"global": map[string]any{"certManagementMode": charttest.CertManager}}

func TestWhatCertManagerRenewsIsServedWithNobodyActing(t *testing.T) {
	rounds := 1
	if !testing.Short() {
		rounds = 5
	}
	i := install(t, inCertManagerMode)
	const secret, service = "registry-webhook-certs", "registry-webhook"
	before := generations(t, i)
	p := i.Probe(t, 110)
	begun := time.Now()
	for range rounds {
		old := fingerprint(t, i, secret)
		i.Reissue(t, "registry-webhook-cert")
		require.Eventually(t, func() bool { return fingerprint(t, i, secret) != old }, patience, 50*time.Millisecond, "cert-manager renews")
		awaitServed(t, i, service, fingerprint(t, i, secret), replicas)
		i.Settle(t)
	}
	report := p.Stop()
	t.Logf("cert-manager: %d renewals in a row, each served by all %d pods %s later on average: %s", rounds, replicas,
		(time.Since(begun) / time.Duration(rounds)).Round(100*time.Millisecond), charttest.Figures(report))
	charttest.AssertNoneBroken(t, report)
	before["kthena-registry"] += int64(rounds)
	assert.Equal(t, before, generations(t, i), "one roll for each renewal, and no other")
	assert.Empty(t, look(t, i).Findings)
}

// cert-manager's injector adds a new CA to those that an entry trusts (its feature CAInjectorMerging), so that pods which serve
// what the old one has signed stay trusted until they are rolled.
func TestACertificateOfANewCAOfCertManagersIsServedWithNobodyActing(t *testing.T) {
	i := env.Prepare(t)
	t.Cleanup(func() { explain(t, i) })
	create(t, i, "issuers", "Issuer", "root", map[string]any{"selfSigned": map[string]any{}})
	ca := map[string]any{
		"secretName": "company",
		"isCA":       true,
		"commonName": "company",
		"issuerRef":  map[string]any{"name": "root"},
		"privateKey": map[string]any{"rotationPolicy": "Always"},
	}
	create(t, i, "certificates", "Certificate", "company", ca)
	create(t, i, "issuers", "Issuer", "company", map[string]any{"ca": map[string]any{"secretName": "company"}})
	values := charttest.Merged(charttest.PerComponent(
		map[string]any{"replicas": replicas},
	), charttest.Merged(inCertManagerMode, map[string]any{
		"global": map[string]any{"certManager": map[string]any{"issuerRef": map[string]any{"name": "company"}}},
	}))
	i.Install(t, charttest.Merged(values, quick))
	i.RequireAdmission(t, charttest.Entries)
	const secret = "registry-webhook-certs"
	before := generations(t, i)
	oldCA := fingerprint(t, i, "company")
	i.Reissue(t, "company")
	require.Eventually(t, func() bool { return fingerprint(t, i, "company") != oldCA }, patience, 50*time.Millisecond)
	p := i.Probe(t, 50)
	old := fingerprint(t, i, secret)
	i.Reissue(t, "registry-webhook-cert")
	require.Eventually(t, func() bool { return fingerprint(t, i, secret) != old }, patience, 50*time.Millisecond)
	awaitServed(t, i, "registry-webhook", fingerprint(t, i, secret), replicas)
	i.Settle(t)
	i.RequireAdmission(t, charttest.Entries)
	report := p.Stop()
	t.Logf("an issuer whose CA changes: %s", charttest.Figures(report))
	charttest.AssertNoneBroken(t, report)
	before["kthena-registry"]++
	assert.Equal(t, before, generations(t, i))
}

// create makes an object of cert-manager's, which goes away with the namespace.
func create(t *testing.T, i *charttest.Installation, resource, kind, name string, spec map[string]any) {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	o.SetAPIVersion("cert-manager.io/v1")
	o.SetKind(kind)
	o.SetName(name)
	_, err := i.CertManagerObjects(t, resource).Create(context.WithoutCancel(t.Context()), o, metav1.CreateOptions{})
	require.NoError(t, err)
}
