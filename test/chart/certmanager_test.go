package chart

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

func TestTheUsersOwnIssuerSigns(t *testing.T) {
	for _, kind := range []string{"Issuer", "ClusterIssuer"} {
		t.Run("of kind "+kind, func(t *testing.T) {
			i := env.Prepare(t)
			createIssuer(t, i, kind, "company")
			i.Install(t, charttest.Merged(inMode(charttest.CertManager, 1), map[string]any{"global": map[string]any{
				"certManager": map[string]any{
					"issuerRef": map[string]any{"name": "company", "kind": kind},
				}}}))
			requireAdmission(t, i)
			requireChain(t, i, "registry-webhook-certs", "company", "registry-webhook."+i.Namespace+".svc")
		})
	}
}

func TestWhatAnIssuerAsksForReachesTheCertificate(t *testing.T) {
	i := env.Install(t, charttest.Merged(inMode(charttest.CertManager, 1), map[string]any{"global": map[string]any{
		"certManager": map[string]any{
			"commonName":              "kthena.example.com",
			"subject":                 map[string]any{"organizations": []any{"Example"}},
			"usages":                  []any{"digital signature", "server auth", "client auth"},
			"additionalOutputFormats": []any{map[string]any{"type": "CombinedPEM"}},
			"secretTemplate":          map[string]any{"annotations": map[string]any{"contact": "pki"}},
		}}}))
	requireAdmission(t, i)
	s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), "registry-webhook-certs", metav1.GetOptions{})
	require.NoError(t, err)
	chain, _ := gen.ParseCertificates(s.Data[corev1.TLSCertKey])
	require.NotEmpty(t, chain)
	assert.Equal(t, "kthena.example.com", chain[0].Subject.CommonName)
	assert.Equal(t, []string{"Example"}, chain[0].Subject.Organization)
	assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, chain[0].ExtKeyUsage)
	assert.NotEmpty(t, s.Data["tls-combined.pem"])
	assert.Equal(t, "pki", s.Annotations["contact"])
}

func TestARenewedCertificateIsServedAfterARestart(t *testing.T) {
	i := env.Install(t, inMode(charttest.CertManager, 3))
	secrets := env.Client.CoreV1().Secrets(i.Namespace)
	before, err := secrets.Get(t.Context(), "registry-webhook-certs", metav1.GetOptions{})
	require.NoError(t, err)
	t.Log(measure(t, i, step{"a renewed certificate and a rolling restart", false, func(t *testing.T) {
		// cert-manager issues anew what is missing, as it does at the end of a certificate's life.
		require.NoError(t, secrets.Delete(t.Context(), before.Name, metav1.DeleteOptions{}))
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			after, err := secrets.Get(t.Context(), before.Name, metav1.GetOptions{})
			require.NoError(c, err)
			assert.NotEqual(c, before.Data[corev1.TLSCertKey], after.Data[corev1.TLSCertKey])
			assert.Equal(c, before.Data["ca.crt"], after.Data["ca.crt"], "the root stays")
		}, time.Minute, 50*time.Millisecond)
		i.Restart(t)
	}}))
	requireAdmission(t, i)
}

// requireChain requires that a Secret of cert-manager's holds a server certificate for the names, signed by the CA named root.
func requireChain(t *testing.T, i *charttest.Installation, secret, root string, names ...string) {
	t.Helper()
	s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), secret, metav1.GetOptions{})
	require.NoError(t, err)
	chain, _ := gen.ParseCertificates(s.Data[corev1.TLSCertKey])
	cas, _ := gen.ParseCertificates(s.Data["ca.crt"])
	require.NotEmpty(t, chain)
	require.Len(t, cas, 1)
	assert.Equal(t, root, cas[0].Subject.CommonName)
	assert.True(t, cas[0].IsCA)
	assert.False(t, chain[0].IsCA)
	roots := x509.NewCertPool()
	roots.AddCert(cas[0])
	for _, name := range names {
		_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		assert.NoError(t, err)
	}
}

// createIssuer makes an issuer with a CA of its own, whose common name is the issuer's.
func createIssuer(t *testing.T, i *charttest.Installation, kind, name string) {
	t.Helper()
	namespace := i.Namespace
	if kind == "ClusterIssuer" {
		namespace = localcluster.CertManagerNamespace
	}
	apply(t, namespace, "issuers", "Issuer", name+"-root", map[string]any{"selfSigned": map[string]any{}})
	apply(t, namespace, "certificates", "Certificate", name, map[string]any{
		"secretName": name, "isCA": true, "commonName": name, "issuerRef": map[string]any{"name": name + "-root"},
	})
	spec := map[string]any{"ca": map[string]any{"secretName": name}}
	if kind == "ClusterIssuer" {
		apply(t, "", "clusterissuers", kind, name, spec)
		return
	}
	apply(t, namespace, "issuers", kind, name, spec)
}

// apply creates an object of cert-manager's, which goes away with the test.
func apply(t *testing.T, namespace, resource, kind, name string, spec map[string]any) {
	t.Helper()
	client, err := dynamic.NewForConfig(env.Config)
	require.NoError(t, err)
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion("cert-manager.io/v1")
	object.SetKind(kind)
	object.SetName(name)
	all := client.Resource(schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: resource})
	resources := dynamic.ResourceInterface(all)
	if namespace != "" {
		resources = all.Namespace(namespace)
	}
	_, err = resources.Create(t.Context(), object, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, resources.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
	})
}
