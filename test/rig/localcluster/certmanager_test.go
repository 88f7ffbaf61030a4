package localcluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

var (
	issuers      = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "issuers"}
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
)

func TestStartCertManager(t *testing.T) {
	require.NoError(t, cluster.StartCertManager(t.Context()))

	t.Run("nothing is left of the certificate that the start waited for", func(t *testing.T) {
		client, err := dynamic.NewForConfig(cluster.Config)
		require.NoError(t, err)
		for _, resource := range []dynamic.ResourceInterface{client.Resource(issuers), client.Resource(certificates)} {
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				list, err := resource.List(t.Context(), metav1.ListOptions{})
				require.NoError(c, err)
				assert.Empty(c, list.Items)
			}, patience, 20*time.Millisecond)
		}
	})

	t.Run("the injector adds a CA to those that an entry trusts already", func(t *testing.T) {
		const name = "injected.example.com"
		before, err := gen.Generate(gen.Spec{DNSNames: []string{name}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
		require.NoError(t, err)
		certificate(t, name)
		configurations := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
		none := admissionv1.SideEffectClassNone
		_, err = configurations.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Annotations: map[string]string{"cert-manager.io/inject-ca-from": CertManagerNamespace + "/" + name},
			},
			Webhooks: []admissionv1.ValidatingWebhook{{
				Name: name, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
				ClientConfig: admissionv1.WebhookClientConfig{
					Service: &admissionv1.ServiceReference{Namespace: CertManagerNamespace, Name: "injected"}, CABundle: before.CA,
				},
			}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			assert.NoError(t, configurations.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
		})
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			live, err := configurations.Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(c, err)
			trusted, _ := gen.ParseCertificates(live.Webhooks[0].ClientConfig.CABundle)
			secret, err := cluster.Client.CoreV1().Secrets(CertManagerNamespace).Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(c, err)
			for _, ca := range [][]byte{before.CA, secret.Data["ca.crt"]} {
				own, _ := gen.ParseCertificates(ca)
				assert.True(c, trusted.ContainsAll(own, time.Now()))
			}
		}, time.Minute, 20*time.Millisecond)
	})
}

// certificate asks for a self-signed certificate.
func certificate(t *testing.T, name string) {
	t.Helper()
	client, err := dynamic.NewForConfig(cluster.Config)
	require.NoError(t, err)
	for _, o := range []struct {
		client dynamic.ResourceInterface
		kind   string
		spec   map[string]any
	}{
		{client.Resource(issuers).Namespace(CertManagerNamespace), "Issuer", map[string]any{"selfSigned": map[string]any{}}},
		{client.Resource(certificates).Namespace(CertManagerNamespace), "Certificate", map[string]any{
			"secretName": name, "dnsNames": []any{name}, "issuerRef": map[string]any{"name": name},
		}},
	} {
		_, err := o.client.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cert-manager.io/v1", "kind": o.kind, "metadata": map[string]any{"name": name}, "spec": o.spec,
		}}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			assert.NoError(t, o.client.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
		})
	}
}
