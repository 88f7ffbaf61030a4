package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// The component that most faults are injected into: one entry, one Service.
const (
	workload      = "kthena-workload"
	configuration = "kthena-workload-validating-webhook"
	entryName     = "validate-modelserving.workload.serving.volcano.sh"
	entryObject   = "webhook " + entryName + " of ValidatingWebhookConfiguration " + configuration
	serviceName   = "workload-webhook"
	autoSecret    = "workload-webhook-certs-auto"
)

// fault is something that verify must name.
type fault struct {
	name   string
	inject func(t *testing.T, i *charttest.Installation)
	// local says that only the local cluster can be brought into this state.
	local bool
	args  []string
	exit  int
	// want is the code and the object of every finding; the object's namespace is that of the release, and "POD" stands for
	// any pod of the component.
	want []string
	// says is part of each message.
	says string
}

func (f fault) run(t *testing.T, i *charttest.Installation) {
	if f.local && *charttest.Connected {
		return
	}
	t.Run(f.name, func(t *testing.T) {
		f.inject(t, i)
		pods := map[string]bool{}
		for _, p := range slices.Concat(i.Pods(t)[workload], i.Pods(t)["kthena-router"]) {
			pods["Pod "+i.Namespace+"/"+p.Name] = true
		}
		var got result
		assert.EventuallyWithT(t, func(c *assert.CollectT) {
			got = run(t, env.Kubeconfig, i.Namespace, f.args...)
			var found []string
			for _, finding := range got.report.Findings {
				object := finding.Object
				if pods[object] {
					object = "Pod POD"
				}
				found = append(found, strings.ReplaceAll(string(finding.Code)+" "+object, i.Namespace+"/", ""))
				assert.Contains(c, finding.Message, f.says)
				assert.NotContains(c, finding.String(), "\n")
				assert.NotEmpty(c, finding.Remedy)
			}
			assert.Equal(c, f.want, found)
			assert.Equal(c, f.exit, got.code)
		}, settling(), 100*time.Millisecond)
		for _, finding := range got.report.Findings {
			t.Log(finding)
		}
		if f.exit == exitBroken {
			assert.Equal(t, "kthena-certgen: error: release kthena is broken: see the findings\n", got.stderr)
		}
	})
}

func TestFaultsInAutoMode(t *testing.T) {
	i := faulty(t, charttest.Auto, 2)
	for _, f := range []fault{
		{
			name:   "a bundle of another CA",
			inject: withBundle(func([]byte) []byte { return made(t, time.Now(), "other").CA }),
			exit:   exitBroken, want: []string{"untrusted " + entryObject}, says: "has signed the certificate",
		},
		{
			name:   "no bundle in one of several entries",
			inject: withoutRegistryBundle,
			exit:   exitBroken, want: []string{
				"bundle-missing webhook validate-modelbooster.workload.serving.volcano.sh of ValidatingWebhookConfiguration " +
					"kthena-registry-validating-webhook",
			}, says: "it has no caBundle",
		},
		{
			name:   "a bundle that is none",
			inject: withBundle(func([]byte) []byte { return []byte("no PEM") }),
			exit:   exitBroken, want: []string{"bundle-malformed " + entryObject}, says: "no certificate that can be read",
		},
		{
			name:   "an expired CA beside a good one",
			inject: withBundle(func(live []byte) []byte { return append(live, made(t, time.Now().Add(-48*time.Hour), "old").CA...) }),
			exit:   exitOK, want: []string{"ca-expired " + entryObject}, says: "expired on",
		},
		{
			name:   "a bundle whose CAs have all expired",
			inject: withBundle(func([]byte) []byte { return made(t, time.Now().Add(-48*time.Hour), "old").CA }),
			exit:   exitBroken, want: []string{"bundle-expired " + entryObject}, says: "every CA in its caBundle has expired",
		},
		{
			name:   "a webhook that answers rubbish",
			inject: withEntry(func(w *admissionv1.ValidatingWebhook) { w.ClientConfig.Service.Path = ptr.To("/kthena.test/rubbish") }),
			exit:   exitBroken, want: []string{"call-failed " + entryObject}, says: "the API server cannot call it",
		},
		{
			name: "a webhook that is slow",
			inject: withEntry(func(w *admissionv1.ValidatingWebhook) {
				w.ClientConfig.Service.Path, w.TimeoutSeconds = ptr.To("/kthena.test/slow"), ptr.To[int32](1)
			}),
			exit: exitBroken, want: []string{"call-failed " + entryObject}, says: "context deadline exceeded",
		},
		{
			name: "a call whose failure is ignored",
			inject: withEntry(func(w *admissionv1.ValidatingWebhook) {
				w.ClientConfig.Service.Path, w.FailurePolicy = ptr.To("/kthena.test/rubbish"), ptr.To(admissionv1.Ignore)
			}),
			exit: exitBroken, want: []string{"not-enforced " + entryObject}, says: "admitted an object that it must refuse",
		},
		{
			name:   "somebody else's webhook that fails",
			inject: foreignWebhook,
			exit:   exitOK, want: []string{
				"unknown webhook " + entryName,
			}, says: `webhook "broken.example.com", which is not of this release, could not be called`,
		},
		{
			name:   "no Service",
			inject: withoutService,
			exit:   exitBroken, want: []string{"service-missing Service " + serviceName}, says: "it does not exist",
		},
		{
			name:   "a Service without the port",
			inject: withService(func(s *corev1.Service) { s.Spec.Ports[0].Port = 444 }),
			exit:   exitBroken, want: []string{"service-port Service " + serviceName}, says: "it has no port 443",
		},
		{
			name:   "a Service that leads to a port where nobody listens",
			inject: withService(func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(9999) }),
			exit:   exitBroken, want: []string{
				"endpoint-unreachable Pod POD", "endpoint-unreachable Pod POD",
			}, says: "port 9999 cannot be reached: ",
		},
		{
			name:   "no pod that is ready",
			inject: scaledToNone,
			exit:   exitBroken, want: []string{"no-endpoints Service " + serviceName}, says: "no pod behind it is ready",
		},
		{
			name:   "pods that refuse the API server, as by a network policy",
			inject: isolated, local: true,
			exit: exitBroken, want: []string{"call-failed " + entryObject}, says: "so a network policy or a firewall may be between them",
		},
		{
			name:   "a kind that the API server lacks",
			inject: withoutKind,
			exit:   exitBroken, want: []string{"kind-missing kind of modelservings.workload.serving.volcano.sh"}, says: "install Kthena's CRDs",
		},
		{
			name:   "no Secret",
			inject: withoutSecret(autoSecret),
			exit:   exitBroken, want: []string{"secret-missing Secret " + autoSecret}, says: "it does not exist",
		},
		{
			name:   "a Secret that somebody else has made",
			inject: withSecret(autoSecret, func(s *corev1.Secret) { s.Labels = nil }),
			exit:   exitOK, want: []string{"secret-foreign Secret " + autoSecret}, says: "kthena-certgen did not make it",
		},
		{
			name:   "a Secret whose key belongs to another certificate",
			inject: withSecret(autoSecret, func(s *corev1.Secret) { s.Data[corev1.TLSPrivateKeyKey] = made(t, time.Now(), "other").Key }),
			exit:   exitBroken, want: []string{"secret-invalid Secret " + autoSecret}, says: "key-mismatch",
		},
		{
			name: "a router whose certificate its clients do not trust",
			inject: func(t *testing.T, i *charttest.Installation) {
				name := "kthena-router." + i.Namespace + ".svc"
				withSecret("kthena-router-tls-auto", replaced(made(t, time.Now(), "models.example.com", name, name+".cluster.local")))(t, i)
			},
			exit: exitBroken, want: []string{
				"untrusted Pod POD", "untrusted Pod POD",
			}, says: "that the router serves was signed by no CA that is trusted",
		},
	} {
		f.run(t, i)
	}
	requireHealthy(t, run(t, env.Kubeconfig, i.Namespace))
	t.Run("a replica that goes on with an old certificate", func(t *testing.T) { oldReplica(t, i) })
}

// oldReplica loses the Secret and one of two pods: the new pod makes a new CA, which is trusted beside the old one, until
// that one is taken away.
func oldReplica(t *testing.T, i *charttest.Installation) {
	secrets := env.Client.CoreV1().Secrets(i.Namespace)
	require.NoError(t, secrets.Delete(t.Context(), autoSecret, metav1.DeleteOptions{}))
	pods := i.Pods(t)[workload]
	require.Len(t, pods, 2)
	require.NoError(t, env.Client.CoreV1().Pods(i.Namespace).Delete(t.Context(), pods[0].Name, metav1.DeleteOptions{}))
	old := "Pod " + i.Namespace + "/" + pods[1].Name
	await := func(code verify.Code, object string, exit int) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			r := run(t, env.Kubeconfig, i.Namespace)
			assert.Equal(c, exit, r.code)
			require.Len(c, r.report.Findings, 1, "%s", r.stdout)
			assert.Equal(c, code, r.report.Findings[0].Code)
			assert.Equal(c, object, r.report.Findings[0].Object)
		}, settling(), 100*time.Millisecond)
	}
	await(verify.Stale, "Deployment "+i.Namespace+"/"+workload, exitOK)

	s, err := secrets.Get(t.Context(), autoSecret, metav1.GetOptions{})
	require.NoError(t, err)
	withBundle(func([]byte) []byte { return s.Data["ca.crt"] })(t, i)
	await(verify.Untrusted, old, exitBroken)
}

// made is a certificate of a new CA for the names, made at a time. It is valid for a day.
func made(t *testing.T, now time.Time, names ...string) gen.Bundle {
	t.Helper()
	b, err := gen.Generate(gen.Spec{DNSNames: names, Validity: 24 * time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, now)
	require.NoError(t, err)
	return b
}

// withEntry changes the entry of the workload's webhook, until the test is over.
func withEntry(change func(*admissionv1.ValidatingWebhook)) func(*testing.T, *charttest.Installation) {
	return func(t *testing.T, _ *charttest.Installation) { changeEntry(t, configuration, 0, change) }
}

func withBundle(change func(live []byte) []byte) func(*testing.T, *charttest.Installation) {
	return withEntry(func(w *admissionv1.ValidatingWebhook) {
		w.ClientConfig.CABundle = change(slices.Clone(w.ClientConfig.CABundle))
	})
}

func withoutRegistryBundle(t *testing.T, _ *charttest.Installation) {
	changeEntry(t, "kthena-registry-validating-webhook", 0, func(w *admissionv1.ValidatingWebhook) { w.ClientConfig.CABundle = nil })
}

func changeEntry(t *testing.T, name string, index int, change func(*admissionv1.ValidatingWebhook)) {
	t.Helper()
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	c, err := client.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	before := c.DeepCopy()
	change(&c.Webhooks[index])
	_, err = client.Update(t.Context(), c, metav1.UpdateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		c, err := client.Get(ctx, name, metav1.GetOptions{})
		require.NoError(t, err)
		c.Webhooks = before.Webhooks
		_, err = client.Update(ctx, c, metav1.UpdateOptions{})
		assert.NoError(t, err)
	})
}

// foreignWebhook registers a webhook for the same kind that nobody serves.
func foreignWebhook(t *testing.T, _ *charttest.Installation) {
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := client.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "foreign"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "broken.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "default", Name: "nobody"}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule: admissionv1.Rule{
					APIGroups: []string{"workload.serving.volcano.sh"}, APIVersions: []string{"*"}, Resources: []string{"modelservings"},
				},
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, client.Delete(context.WithoutCancel(t.Context()), "foreign", metav1.DeleteOptions{}))
	})
}

// withService changes the workload's Service, until the test is over.
func withService(change func(*corev1.Service)) func(*testing.T, *charttest.Installation) {
	return func(t *testing.T, i *charttest.Installation) {
		services := env.Client.CoreV1().Services(i.Namespace)
		s, err := services.Get(t.Context(), serviceName, metav1.GetOptions{})
		require.NoError(t, err)
		ports := slices.Clone(s.Spec.Ports)
		change(s)
		_, err = services.Update(t.Context(), s, metav1.UpdateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context())
			s, err := services.Get(ctx, serviceName, metav1.GetOptions{})
			require.NoError(t, err)
			s.Spec.Ports = ports
			_, err = services.Update(ctx, s, metav1.UpdateOptions{})
			assert.NoError(t, err)
		})
	}
}

func withoutService(t *testing.T, i *charttest.Installation) {
	services := env.Client.CoreV1().Services(i.Namespace)
	s, err := services.Get(t.Context(), serviceName, metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, services.Delete(t.Context(), serviceName, metav1.DeleteOptions{}))
	t.Cleanup(func() {
		s.ResourceVersion, s.UID, s.Spec.ClusterIP, s.Spec.ClusterIPs = "", "", "", nil
		_, err := services.Create(context.WithoutCancel(t.Context()), s, metav1.CreateOptions{})
		assert.NoError(t, err)
	})
}

func scaledToNone(t *testing.T, i *charttest.Installation) {
	scale(t.Context(), t, i, 0)
	t.Cleanup(func() { scale(context.WithoutCancel(t.Context()), t, i, 2) })
}

// scale sets the replicas of the workload's Deployment and waits until they are ready.
func scale(ctx context.Context, t *testing.T, i *charttest.Installation, n int32) {
	t.Helper()
	deployments := env.Client.AppsV1().Deployments(i.Namespace)
	s, err := deployments.GetScale(ctx, workload, metav1.GetOptions{})
	require.NoError(t, err)
	s.Spec.Replicas = n
	_, err = deployments.UpdateScale(ctx, workload, s, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		d, err := deployments.Get(ctx, workload, metav1.GetOptions{})
		require.NoError(c, err)
		assert.Equal(c, d.Generation, d.Status.ObservedGeneration)
		assert.Equal(c, n, d.Status.ReadyReplicas)
		assert.Equal(c, n, d.Status.Replicas)
	}, settling(), 50*time.Millisecond)
}

// isolated keeps the API server from the workload's pods. They are new, so that it has no connection to them.
func isolated(t *testing.T, i *charttest.Installation) {
	scale(t.Context(), t, i, 0)
	scale(t.Context(), t, i, 2)
	for _, p := range i.Pods(t)[workload] {
		env.Isolate(p.Status.PodIP, true)
		t.Cleanup(func() { env.Isolate(p.Status.PodIP, false) })
	}
}

// withoutKind makes the API server no longer serve a kind. Objects of it, which a cluster that was there before may have, stay.
func withoutKind(t *testing.T, _ *charttest.Installation) {
	serve := func(ctx context.Context, served bool) error {
		patch := fmt.Appendf(nil, `[{"op": "replace", "path": "/spec/versions/0/served", "value": %t}]`, served)
		return env.Client.Discovery().RESTClient().Patch(types.JSONPatchType).
			AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modelservings.workload.serving.volcano.sh").Body(patch).Do(ctx).Error()
	}
	require.NoError(t, serve(t.Context(), false))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, serve(ctx, true))
		require.Eventually(t, func() bool {
			return env.Client.Discovery().RESTClient().Get().AbsPath(
				"/apis/workload.serving.volcano.sh/v1alpha1/modelservings",
			).Do(ctx).Error() == nil
		}, settling(), 50*time.Millisecond)
	})
}

// withSecret changes a Secret, until the test is over.
func withSecret(name string, change func(*corev1.Secret)) func(*testing.T, *charttest.Installation) {
	return func(t *testing.T, i *charttest.Installation) {
		secrets := env.Client.CoreV1().Secrets(i.Namespace)
		s, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		before := s.DeepCopy()
		change(s)
		_, err = secrets.Update(t.Context(), s, metav1.UpdateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			before.ResourceVersion = ""
			_, err := secrets.Update(context.WithoutCancel(t.Context()), before, metav1.UpdateOptions{})
			assert.NoError(t, err)
		})
	}
}

// replaced replaces all that a Secret holds.
func replaced(b gen.Bundle) func(*corev1.Secret) {
	return func(s *corev1.Secret) {
		s.Data = map[string][]byte{corev1.TLSCertKey: b.Cert, corev1.TLSPrivateKeyKey: b.Key, "ca.crt": b.CA}
	}
}

func withoutSecret(name string) func(*testing.T, *charttest.Installation) {
	return func(t *testing.T, i *charttest.Installation) {
		secrets := env.Client.CoreV1().Secrets(i.Namespace)
		s, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		require.NoError(t, secrets.Delete(t.Context(), name, metav1.DeleteOptions{}))
		t.Cleanup(func() {
			s.ResourceVersion, s.UID = "", ""
			_, err := secrets.Create(context.WithoutCancel(t.Context()), s, metav1.CreateOptions{})
			assert.NoError(t, err)
		})
	}
}

func TestFaultsInManualMode(t *testing.T) {
	i := faulty(t, charttest.Manual, 1)
	own := charttest.OwnSecret("workload")
	secretObject := "Secret " + own
	name := serviceName + "." + i.Namespace + ".svc"
	// serving makes the pod serve a certificate whose CA is trusted.
	serving := func(b gen.Bundle) func(*testing.T, *charttest.Installation) {
		return func(t *testing.T, i *charttest.Installation) {
			withBundle(func([]byte) []byte { return b.CA })(t, i)
			withSecret(own, replaced(b))(t, i)
			scale(t.Context(), t, i, 0)
			scale(t.Context(), t, i, 1)
		}
	}
	for _, f := range []fault{
		{
			name: "a Secret that the bundle does not match", inject: withSecret(own, replaced(made(t, time.Now(), name))),
			exit: exitBroken, want: []string{"secret-untrusted " + secretObject}, says: "was signed by no CA in the caBundle of " + entryName,
		},
		{
			name: "no Secret", inject: withoutSecret(own),
			exit: exitBroken, want: []string{"secret-missing " + secretObject}, says: "it does not exist",
		},
		{
			name: "a certificate that expires soon", inject: serving(
				made(t, time.Now().Add(-12*time.Hour), name),
			), args: []string{"--warn-within", "13h"},
			exit: exitExpiring, want: []string{"expires-soon " + secretObject}, says: "are left",
		},
		{
			name: "an expired certificate", inject: serving(expired(t, name)),
			exit: exitBroken, want: []string{"expired Service " + serviceName, "secret-invalid " + secretObject}, says: "expired on",
		},
		{
			name: "a certificate that is not valid yet", inject: serving(made(t, time.Now().Add(2*time.Hour), name)),
			exit: exitBroken, want: []string{"not-yet-valid Service " + serviceName, "secret-invalid " + secretObject}, says: "is valid from",
		},
		{
			name: "a certificate for another name", inject: serving(made(t, time.Now(), "other.example.com")),
			exit: exitBroken, want: []string{"wrong-name Service " + serviceName, "secret-invalid " + secretObject}, says: "for other.example.com",
		},
	} {
		f.run(t, i)
	}
}

// expired is a bundle whose leaf is over while its CA is not.
func expired(t *testing.T, name string) gen.Bundle {
	t.Helper()
	b, err := expiredLeaf(name)
	require.NoError(t, err)
	return b
}

func TestCertManagerThatCannotIssue(t *testing.T) {
	i := faulty(t, charttest.CertManager, 1)
	fault{
		name: "a Certificate that is not ready",
		inject: func(t *testing.T, i *charttest.Installation) {
			path := fmt.Sprintf("/apis/cert-manager.io/v1/namespaces/%s/certificates/workload-webhook-cert", i.Namespace)
			patch := []byte(`{"spec":{"issuerRef":{"name":"nobody"}}}`)
			request := env.Client.Discovery().RESTClient().Patch("application/merge-patch+json").AbsPath(path).Body(patch)
			require.NoError(t, request.Do(t.Context()).Error())
		},
		exit: exitBroken, want: []string{"certificate-not-ready Certificate workload-webhook-cert"}, says: "cert-manager has not issued",
	}.run(t, i)
}
