package verify

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/sample"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/crds"
)

// routerTLS are values that let the router serve TLS.
var routerTLS = map[string]any{"networking": map[string]any{"kthenaRouter": map[string]any{
	"tls": map[string]any{"enabled": true, "dnsName": "models.example.com"},
}}}

// faulty installs a release that a test breaks. It has no controller, which would heal it.
func faulty(t *testing.T, mode string, replicas int) *charttest.Installation {
	t.Helper()
	return installed(
		t, mode, replicas, map[string]any{"global": map[string]any{"certgen": map[string]any{"controller": map[string]any{"enabled": false}}}},
	)
}

// installed installs a healthy release in a mode, with TLS at the router.
func installed(t *testing.T, mode string, replicas int, more ...map[string]any) *charttest.Installation {
	t.Helper()
	i := env.Prepare(t)
	values := charttest.InMode(mode, replicas)
	if mode == charttest.Manual {
		values = charttest.InManualMode(replicas, i.CreateOwnSecrets(t))
		i.CreateOwnSecret(t, "kthena-router-tls", "models.example.com", "kthena-router."+i.Namespace+".svc")
	}
	all := charttest.PerComponent(map[string]any{"replicas": replicas})
	values = charttest.Merged(charttest.Merged(values, all), routerTLS)
	for _, v := range more {
		values = charttest.Merged(values, v)
	}
	i.Install(t, values)
	i.RequireAdmission(t, charttest.Entries)
	awaitEndpoints(t, i.Namespace, replicas)
	return i
}

// awaitEndpoints waits until every Service leads to all of its pods, which is a moment after they are ready.
func awaitEndpoints(t *testing.T, namespace string, replicas int) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		slices, err := env.Client.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, s := range slices.Items {
			ready := 0
			for _, e := range s.Endpoints {
				if ptr.Deref(e.Conditions.Ready, false) {
					ready++
				}
			}
			assert.Equal(c, replicas, ready, s.Name)
		}
	}, time.Minute, 50*time.Millisecond)
}

func TestAHealthyReleaseHasNoFindings(t *testing.T) {
	for _, mode := range charttest.Modes {
		t.Run("in mode "+mode, func(t *testing.T) {
			i := installed(t, mode, 2)
			begun := time.Now()
			r := run(t, env.Kubeconfig, i.Namespace)
			t.Logf("verify took %s", time.Since(begun).Round(time.Millisecond))
			requireHealthy(t, r)
			assertSeen(t, r.report, mode)
			t.Run("with the rights of helm test, and stores nothing", func(t *testing.T) { withRightsOfHelmTest(t, i) })
			t.Run("and helm test says so", func(t *testing.T) {
				var logs bytes.Buffer
				require.NoError(t, i.Helm.Test(charttest.Release, &logs, charttest.Wait), "%s", logs.String())
				assert.Contains(
					t, logs.String(),
					"Release kthena in namespace "+i.Namespace+", mode "+mode+": ok: every certificate is trusted, and none expires soon",
				)
				assert.Contains(t, logs.String(), "validate-modelserving.workload.serving.volcano.sh")
			})
		})
	}
}

// modelServerEntry is the webhook whose answers differ between versions of Kthena whose schema does not.
const modelServerEntry = "validate-modelserver.networking.serving.volcano.sh"

func TestAHealthyReleaseOfAnotherVersionHasNoFindings(t *testing.T) {
	i := installed(t, charttest.Auto, 1)
	admission := func(t *testing.T, name string) verify.Admission {
		t.Helper()
		r := run(t, env.Kubeconfig, i.Namespace)
		requireHealthy(t, r)
		n := slices.IndexFunc(r.report.Webhooks, func(w verify.Webhook) bool { return w.Name == name })
		require.GreaterOrEqual(t, n, 0)
		return r.report.Webhooks[n].Admission
	}
	t.Run("whose schemas are others, as in Kthena v0.4", func(t *testing.T) {
		serveDefinitionsBefore(t)
		assert.Equal(t, verify.AnsweredBoth, admission(t, "validate-modelbooster.workload.serving.volcano.sh"))
		assert.Equal(t, verify.Answered, admission(t, "validate-autoscalingpolicy.workload.serving.volcano.sh"))
	})
	t.Run("that refuses a ModelServer without labels", func(t *testing.T) {
		changeEntry(t, "kthena-networking-validating-webhook", 1, func(w *admissionv1.ValidatingWebhook) {
			require.Equal(t, modelServerEntry, w.Name)
			w.ClientConfig.Service.Path = ptr.To("/kthena.test/later" + *w.ClientConfig.Service.Path)
		})
		require.Eventually(t, func() bool { return admission(t, modelServerEntry) == verify.AnsweredBoth }, settling(), 50*time.Millisecond)
	})
}

// serveDefinitionsBefore has the API server serve the kinds as Kthena v0.4 defined them, until the test is over.
func serveDefinitionsBefore(t *testing.T) {
	t.Helper()
	clients, err := apiextensions.NewForConfig(env.Config)
	require.NoError(t, err)
	definitions, err := crds.Before()
	require.NoError(t, err)
	require.NotEmpty(t, definitions)
	// serve changes the schema of a kind and waits until the sample of that version is taken, and the other is not.
	serve := func(
		ctx context.Context, name string, to apiextensionsv1.CustomResourceDefinitionVersion, index int,
	) apiextensionsv1.CustomResourceDefinitionVersion {
		crd, err := clients.CustomResourceDefinitions().Get(ctx, name, metav1.GetOptions{})
		require.NoError(t, err)
		before := crd.Spec.Versions[0]
		crd.Spec.Versions[0] = to
		_, err = clients.CustomResourceDefinitions().Update(ctx, crd, metav1.UpdateOptions{})
		require.NoError(t, err)
		resource := crd.Spec.Names.Plural
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			for n, s := range sample.Of(resource) {
				body := fmt.Appendf(
					nil, `{"apiVersion":"%s/%s","kind":%q,"metadata":{"generateName":"x-"},"spec":%s}`, crd.Spec.Group, to.Name, s.Kind, s.Valid,
				)
				err := env.Client.Discovery().RESTClient().Post().AbsPath("/apis", crd.Spec.Group, to.Name, "namespaces", "default", resource).
					Param("dryRun", metav1.DryRunAll).Param("fieldValidation", metav1.FieldValidationIgnore).Body(body).Do(ctx).Error()
				assert.Equal(c, n != index, apierrors.IsInvalid(err), "%s: %v", resource, err)
			}
		}, settling(), 50*time.Millisecond)
		return before
	}
	for _, crd := range definitions {
		now := serve(t.Context(), crd.Name, crd.Spec.Versions[0], 1)
		t.Cleanup(func() { serve(context.WithoutCancel(t.Context()), crd.Name, now, 0) })
	}
}

// assertSeen asserts that a report of a healthy release with TLS at the router, and two replicas of everything, is complete.
func assertSeen(t *testing.T, r verify.Report, mode string) {
	t.Helper()
	assert.Equal(t, mode, r.Mode)
	require.Len(t, r.Webhooks, charttest.Entries)
	for _, w := range r.Webhooks {
		want := verify.AnsweredBoth
		if w.Kind == "MutatingWebhookConfiguration" || w.Name == modelServerEntry {
			want = verify.Answered // it refuses nothing: that of ModelServers does not in Kthena v1.0.0
		}
		assert.Equal(t, want, w.Admission, w.Name)
		assert.NotNil(t, w.NotAfter, w.Name)
		assert.NotEmpty(t, w.BundleManagers, w.Name)
	}
	origins := map[string]string{charttest.Auto: "kthena-certgen", charttest.CertManager: "cert-manager", charttest.Manual: "user"}
	require.Len(t, r.Servers, 4)
	for _, s := range r.Servers {
		require.Len(t, s.Endpoints, 2, s.Name)
		for _, e := range s.Endpoints {
			assert.Equal(t, s.Secret.Certificate, e.Certificate, "%s serves what its Secret holds", e.Pod)
		}
		assert.Equal(t, origins[mode], s.Secret.Origin, s.Name)
	}
}

func TestAControllerThatDoesNotReconcileIsNamed(t *testing.T) {
	i := installed(t, charttest.Auto, 1)
	scale := []byte(`{"spec":{"replicas":0}}`)
	_, err := env.Client.AppsV1().Deployments(i.Namespace).Patch(
		t.Context(), "kthena-certgen", types.MergePatchType, scale, metav1.PatchOptions{},
	)
	require.NoError(t, err)
	r := run(t, env.Kubeconfig, i.Namespace)
	require.Equal(t, exitOK, r.code, "nothing fails for it: %s", r.stderr)
	require.Len(t, r.report.Findings, 1)
	assert.Equal(t, verify.ControllerDown, r.report.Findings[0].Code)
	assert.Equal(t, "Deployment "+i.Namespace+"/kthena-certgen", r.report.Findings[0].Object)

	require.NoError(t, env.Client.AppsV1().Deployments(i.Namespace).Delete(t.Context(), "kthena-certgen", metav1.DeleteOptions{}))
	r = run(t, env.Kubeconfig, i.Namespace)
	require.Len(t, r.report.Findings, 1)
	assert.Contains(t, r.report.Findings[0].Message, "it does not exist")
}
