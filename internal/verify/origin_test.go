package verify

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

const certificatePath = "/apis/cert-manager.io/v1/namespaces/ns/certificates/issued"

// annotate sets the annotations of the webhook configuration, by which the mode is known.
func (r *release) annotate(annotations map[string]string) {
	items := r.objects[webhooksPath].(map[string]any)["items"].([]any)
	items[0].(map[string]any)["metadata"].(map[string]any)["annotations"] = annotations
}

// mount has the pods mount the Secret, as in cert-manager and manual mode.
func (r *release) mount() {
	r.objects[deploymentPath] = json.RawMessage(`{"spec":{"template":{"spec":{"volumes":[{"name":"v","secret":{"secretName":"certs"}}],
		"containers":[{"volumeMounts":[{"name":"v","mountPath":"/etc/tls"}]}]}}}}`)
}

// hold puts b into the Secret, with the annotations and without a label.
func (r *release) hold(b gen.Bundle, annotations map[string]string, managers ...string) {
	data := map[string][]byte{"tls.crt": b.Cert, "tls.key": b.Key}
	if b.CA != nil {
		data["ca.crt"] = b.CA
	}
	var fields []any
	for _, m := range managers {
		fields = append(fields, map[string]any{"manager": m})
	}
	r.objects[secretPath] = map[string]any{"metadata": map[string]any{"annotations": annotations, "managedFields": fields}, "data": data}
}

func ready(status string) json.RawMessage {
	return json.RawMessage(
		`{"status":{"conditions":[{"type":"Issuing","status":"False"},{"type":"Ready","status":"` + status +
			`","message":"the issuer is not ready"}]}}`,
	)
}

func TestWhoMadeASecretDecidesWhatIsSaidOfIt(t *testing.T) {
	t.Parallel()
	issuedBy := map[string]string{annotationCertificateName: "issued"}
	inject := map[string]string{annotationInjectFrom: "ns/issued"}
	for name, c := range map[string]struct {
		change func(t *testing.T, r *release, w *admissionv1.ValidatingWebhook)
		mode   string
		origin string
		want   []string
	}{
		"one of somebody else in auto mode": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.hold(*r.serves, nil, "kubectl", "helm")
			},
			Auto, "user", []string{"secret-foreign: Secret ns/certs: kthena-certgen did not make it (written by helm, kubectl) and will not " +
				"renew it on 2027-01-05T00:30:00Z; " +
				"kubectl delete secret --namespace ns certs && kubectl rollout restart --namespace ns deployment/server"},
		},
		"one of cert-manager's": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(inject)
				r.mount()
				r.hold(*r.serves, issuedBy)
				r.objects[certificatePath] = ready("True")
			},
			CertManager, "cert-manager", nil,
		},
		"one that cert-manager has not issued": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(inject)
				r.mount()
				delete(r.objects, secretPath)
				r.objects[certificatePath] = ready("False")
			},
			CertManager, "", []string{"certificate-not-ready: Certificate ns/issued: cert-manager has not issued what Secret certs must hold: " +
				"the issuer is not ready; " +
				"kubectl describe certificate --namespace ns issued"},
		},
		"one of a Certificate that cannot be read": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(inject)
				r.mount()
				delete(r.objects, secretPath)
				r.errors[certificatePath] = forbidden("certificates", "no")
			},
			CertManager, "", []string{"secret-missing: Secret ns/certs: it does not exist, and the pods of server get their certificate from it; " +
				"kubectl describe certificate --namespace ns issued"},
		},
		"one of a Certificate of another namespace": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(map[string]string{annotationInjectFrom: "elsewhere/issued"})
				r.mount()
				r.hold(*r.serves, issuedBy)
				r.objects[certificatePath] = ready("False")
			},
			CertManager, "cert-manager", nil,
		},
		"one of yours": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(nil)
				r.mount()
				r.hold(*r.serves, nil)
			},
			Manual, "user", nil,
		},
		"one of yours without a CA": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(nil)
				r.mount()
				r.hold(gen.Bundle{Cert: r.serves.Cert, Key: r.serves.Key}, nil)
			},
			Manual, "user", nil,
		},
		"one without a CA in another mode": {
			func(_ *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(inject)
				r.mount()
				r.hold(gen.Bundle{Cert: r.serves.Cert, Key: r.serves.Key}, issuedBy, "cert-manager-certificates-issuing")
			},
			CertManager, "cert-manager", []string{"secret-invalid: Secret ns/certs: its certificate cannot be used: malformed: the CA set is " +
				"missing or empty " +
				"(made by cert-manager, written by cert-manager-certificates-issuing); kubectl delete secret --namespace ns certs"},
		},
		"one that is not for the Service": {
			func(t *testing.T, r *release, w *admissionv1.ValidatingWebhook) {
				r.annotate(nil)
				r.mount()
				b := made(t, "other.ns.svc")
				r.hold(b, nil, "kubectl")
				w.ClientConfig.CABundle = append(w.ClientConfig.CABundle, b.CA...)
			},
			Manual, "user", []string{"secret-invalid: Secret ns/certs: its certificate cannot be used: dns-names: the certificate is not for " +
				"hook.ns.svc: it is for other.ns.svc " +
				"(made by user, written by kubectl); kubectl create secret tls --namespace ns certs --cert=tls.crt --key=tls.key --dry-run=client " +
				"--output yaml | kubectl apply --filename -"},
		},
		"one that pods do not serve yet, and whose CA is not trusted": {
			func(t *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				r.annotate(nil)
				r.mount()
				r.hold(made(t, "hook.ns.svc"), nil)
			},
			Manual, "user", []string{"secret-untrusted"},
		},
		"one that pods do not serve yet, where nothing is trusted": {
			func(t *testing.T, r *release, w *admissionv1.ValidatingWebhook) {
				r.annotate(nil)
				r.mount()
				r.hold(made(t, "hook.ns.svc"), nil)
				w.ClientConfig.CABundle = nil
			},
			Manual, "user", []string{"bundle-missing"},
		},
		"one that pods do not serve yet, and whose CA a pod will add": {
			func(t *testing.T, r *release, _ *admissionv1.ValidatingWebhook) {
				b := made(t, "hook.ns.svc")
				r.objects[secretPath] = map[string]any{
					"metadata": map[string]any{"labels": map[string]string{"app.kubernetes.io/managed-by": "kthena-certgen"}},
					"data":     map[string][]byte{"tls.crt": b.Cert, "tls.key": b.Key, "ca.crt": b.CA},
				}
			},
			Auto, "kthena-certgen", []string{"stale"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, hook := newRelease(t)
			c.change(t, r, hook)
			report, err := r.verify(t)
			require.NoError(t, err)
			assert.Equal(t, c.mode, report.Mode)
			assert.Equal(t, c.origin, report.Servers[0].Secret.Origin)
			got := texts(report)
			require.Len(t, got, len(c.want), "%q", got)
			for i, want := range c.want {
				assert.True(t, strings.HasPrefix(got[i], want), "%s", got[i])
			}
		})
	}
}

func TestACertificateThatCannotBeAskedForEndsTheRun(t *testing.T) {
	t.Parallel()
	r, _ := newRelease(t)
	r.annotate(map[string]string{annotationInjectFrom: "ns/issued"})
	r.errors[certificatePath] = errors.New("connection refused")
	_, err := r.verify(t)
	require.EqualError(t, err, "connection refused")
}

func TestWhatABundleHoldsIsListed(t *testing.T) {
	t.Parallel()
	r, hook := newRelease(t)
	ca := newIssuer(t)
	ended := []byte{}
	for _, c := range []time.Duration{-time.Minute, -time.Hour / 2} {
		ended = append(ended, gen.CASet{ca.cert(true, c, nil)}.PEM()...)
	}
	hook.ClientConfig.CABundle = append(ended, hook.ClientConfig.CABundle...)
	report, err := r.verify(t)
	require.NoError(t, err)
	require.Len(t, report.Webhooks[0].CAs, 3)
	assert.Equal(t, now.Add(1000*time.Hour), report.Webhooks[0].CAs[2].NotAfter)
	require.Len(t, report.Findings, 2)
	for _, f := range report.Findings {
		assert.Equal(t, CAExpired, f.Code)
	}

	hook.ClientConfig.CABundle = ended
	report, err = r.verify(t)
	require.NoError(t, err)
	assert.Equal(t, []string{"bundle-expired: webhook check.example.com of ValidatingWebhookConfiguration config: " +
		"every CA in its caBundle has expired, the last on 2026-11-24T08:29:00Z; kubectl rollout restart --namespace ns deployment/server"},
		texts(report))
}

func TestAnEntryIsOfTheReleaseByItsService(t *testing.T) {
	t.Parallel()
	r, hook := newRelease(t)
	elsewhere, byURL := *hook.DeepCopy(), *hook.DeepCopy()
	elsewhere.ClientConfig.Service.Namespace = "elsewhere"
	byURL.ClientConfig = admissionv1.WebhookClientConfig{URL: ptr.To("https://example.com")}
	items := r.objects[webhooksPath].(map[string]any)["items"].([]any)
	items[0].(map[string]any)["webhooks"] = []any{elsewhere, byURL, hook}
	hook.ClientConfig.Service.Port = nil
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	require.Len(t, report.Webhooks, 1)
	assert.Equal(t, "Fail", report.Webhooks[0].FailurePolicy)
	assert.Equal(t, 443, report.Servers[0].Port, "the API's default")
}

func TestWebhookConfigurationsThatMayNotBeListedAreNamed(t *testing.T) {
	t.Parallel()
	r, _ := newRelease(t)
	mutating := strings.Replace(webhooksPath, "validating", "mutating", 1)
	r.errors[mutating] = forbidden("mutatingwebhookconfigurations", "no")
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Equal(t, []string{"list mutatingwebhookconfigurations"}, report.MissingRights)
	assert.Len(t, report.Webhooks, 1, "the others are looked at")

	delete(r.errors, mutating)
	r.errors[webhooksPath] = forbidden("validatingwebhookconfigurations", "no")
	report, err = r.verify(t)
	require.NoError(t, err)
	assert.Equal(t, []string{"list validatingwebhookconfigurations"}, report.MissingRights)
	r.errors[webhooksPath] = errors.New("connection refused")
	_, err = r.verify(t)
	require.EqualError(t, err, "listing validatingwebhookconfigurations: connection refused")
}
