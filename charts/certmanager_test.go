package charts

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// certManagerObjects are the Issuers and Certificates, sorted.
func certManagerObjects(objects []object) []string {
	return identities(slices.DeleteFunc(slices.Clone(objects), func(o object) bool {
		return o.GetObjectKind().GroupVersionKind().Group != certManagerGroup
	}))
}

// spec is that of an Issuer or a Certificate.
func spec(t *testing.T, objects []object, kind, name string) map[string]any {
	t.Helper()
	for _, o := range all[*unstructured.Unstructured](objects) {
		if o.GetKind() == kind && o.GetName() == name {
			assert.Equal(t, namespace, o.GetNamespace())
			s, _, err := unstructured.NestedMap(o.Object, "spec")
			require.NoError(t, err)
			return s
		}
	}
	require.Fail(t, "object is missing", "%s/%s", kind, name)
	return nil
}

func TestCertManagerModeMakesAChainForEveryCertificate(t *testing.T) {
	objects := render(t, "{global: {certManagementMode: cert-manager}, networking: {kthenaRouter: {tls: {enabled: true}}}}")
	var want []string
	for _, certificate := range []string{"networking-router", "networking-webhook", "registry-webhook", "workload-webhook"} {
		want = append(want,
			"Certificate/"+certificate+"-ca", "Certificate/"+certificate+"-cert",
			"Issuer/"+certificate+"-ca-issuer", "Issuer/"+certificate+"-issuer")
	}
	assert.ElementsMatch(t, want, certManagerObjects(objects))

	assert.Equal(t, map[string]any{"selfSigned": map[string]any{}}, spec(t, objects, "Issuer", "registry-webhook-issuer"))
	assert.Equal(t, map[string]any{
		"secretName": "registry-webhook-ca",
		"isCA":       true,
		"commonName": "registry-webhook-ca",
		"duration":   "87600h",
		"usages":     []any{"cert sign", "crl sign"},
		"privateKey": map[string]any{"algorithm": "ECDSA", "size": int64(256), "rotationPolicy": "Never"},
		"issuerRef":  map[string]any{"group": "cert-manager.io", "kind": "Issuer", "name": "registry-webhook-issuer"},
	}, spec(t, objects, "Certificate", "registry-webhook-ca"))
	assert.Equal(
		t, map[string]any{"ca": map[string]any{"secretName": "registry-webhook-ca"}}, spec(t, objects, "Issuer", "registry-webhook-ca-issuer"),
	)
	assert.Equal(t, map[string]any{
		"secretName":           "registry-webhook-certs",
		"dnsNames":             []any{"registry-webhook.kthena-system.svc", "registry-webhook.kthena-system.svc.cluster.local"},
		"duration":             "8760h",
		"usages":               []any{"digital signature", "key encipherment", "server auth"},
		"privateKey":           map[string]any{"algorithm": "ECDSA", "rotationPolicy": "Always"},
		"revisionHistoryLimit": int64(1),
		"issuerRef":            map[string]any{"group": "cert-manager.io", "kind": "Issuer", "name": "registry-webhook-ca-issuer"},
	}, spec(t, objects, "Certificate", "registry-webhook-cert"))
}

func TestAnIssuerOfTheUsersReplacesTheChain(t *testing.T) {
	for _, c := range []struct {
		name, ref string
		want      map[string]any
	}{
		{"a name alone is an Issuer of cert-manager", "{name: mine}",
			map[string]any{"group": "cert-manager.io", "kind": "Issuer", "name": "mine"}},
		{"a ClusterIssuer", "{name: corporate, kind: ClusterIssuer}",
			map[string]any{"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "corporate"}},
		{"an issuer of another group", "{name: corporate, kind: AWSPCAIssuer, group: awspca.cert-manager.io}",
			map[string]any{"group": "awspca.cert-manager.io", "kind": "AWSPCAIssuer", "name": "corporate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects := render(t, "{global: {certManagementMode: cert-manager, certManager: {issuerRef: "+c.ref+"}}}")
			assert.Equal(t, []string{
				"Certificate/networking-webhook-cert", "Certificate/registry-webhook-cert", "Certificate/workload-webhook-cert",
			},
				certManagerObjects(objects))
			assert.Equal(t, c.want, spec(t, objects, "Certificate", "workload-webhook-cert")["issuerRef"])
		})
	}
}

func TestWhatAnIssuerAsksForIsInTheCertificates(t *testing.T) {
	objects := render(t, `{global: {certManagementMode: cert-manager, commonLabels: {team: llm}, certManager: {commonName: kthena.example.com,
		subject: {organizations: [Example]}, usages: [server auth, client auth], additionalOutputFormats: [{type: CombinedPEM}],
		secretTemplate: {labels: {copy: "true", team: pki}, annotations: {to: other}}, annotations: {fields: "[]"}}},
		networking: {kthenaRouter: {tls: {enabled: true}}}}`)
	template := map[string]any{"labels": map[string]any{"copy": "true", "team": "pki"}, "annotations": map[string]any{"to": "other"}}
	for _, o := range objects {
		if o.GetObjectKind().GroupVersionKind().Kind != "Certificate" {
			assert.NotContains(t, o.GetAnnotations(), "fields", identity(o))
			continue
		}
		assert.Equal(t, map[string]string{"fields": "[]"}, o.GetAnnotations(), identity(o))
		got := spec(t, objects, "Certificate", o.GetName())
		assert.Equal(t, template, got["secretTemplate"], identity(o))
		if got["isCA"] == true {
			assert.Equal(t, []any{"cert sign", "crl sign"}, got["usages"], "no issuer of the user's signs it")
			continue
		}
		assert.Equal(t, "kthena.example.com", got["commonName"], identity(o))
		assert.Equal(t, map[string]any{"organizations": []any{"Example"}}, got["subject"], identity(o))
		assert.Equal(t, []any{"server auth", "client auth"}, got["usages"], identity(o))
		assert.Equal(t, []any{map[string]any{"type": "CombinedPEM"}}, got["additionalOutputFormats"], identity(o))
	}
	for _, field := range []string{"commonName", "subject", "additionalOutputFormats", "secretTemplate"} {
		assert.NotContains(t, spec(t, render(t, "{global: {certManagementMode: cert-manager}}"), "Certificate", "registry-webhook-cert"), field)
	}
}

func TestCertManagerTellsTheAPIServerWhomToTrust(t *testing.T) {
	objects := render(t, "{global: {certManagementMode: cert-manager}}")
	got := map[string]string{}
	for _, c := range all[*admissionv1.MutatingWebhookConfiguration](objects) {
		got[c.Name] = c.Annotations[injectAnnotation]
	}
	for _, c := range all[*admissionv1.ValidatingWebhookConfiguration](objects) {
		got[c.Name] = c.Annotations[injectAnnotation]
	}
	assert.Equal(t, map[string]string{
		"kthena-registry-mutating-webhook":     "kthena-system/registry-webhook-cert",
		"kthena-registry-validating-webhook":   "kthena-system/registry-webhook-cert",
		"kthena-workload-validating-webhook":   "kthena-system/workload-webhook-cert",
		"kthena-networking-validating-webhook": "kthena-system/networking-webhook-cert",
	}, got)
}

func TestCertManagerModeNeedsCertManagerInAClusterThatIsKnown(t *testing.T) {
	for _, c := range []struct {
		name        string
		apiVersions []string
		want        string
	}{
		{"without a cluster it is not known", nil, ""},
		{"a cluster that serves it, by kind", slices.Concat(knownCluster, []string{"cert-manager.io/v1", "cert-manager.io/v1/Certificate"}), ""},
		{"a cluster that does not", []string{"apps/v1/Deployment"},
			"ERROR: the cluster does not serve cert-manager.io/v1: install cert-manager first, or set global.certManagementMode to auto"},
		{"a cluster with an old version", []string{"apps/v1/Deployment", "cert-manager.io/v1alpha2"},
			"ERROR: the cluster does not serve cert-manager.io/v1: install cert-manager first, or set global.certManagementMode to auto"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, "{global: {certManagementMode: cert-manager}}")
			o.APIVersions = c.apiVersions
			_, err := helm.Render(umbrella, o)
			assert.Equal(t, c.want, refusal(err))
		})
	}
	t.Run("the other modes do not ask for it", func(t *testing.T) {
		o := options(t, "{}")
		o.APIVersions = knownCluster
		_, err := helm.Render(umbrella, o)
		assert.NoError(t, err)
	})
}
