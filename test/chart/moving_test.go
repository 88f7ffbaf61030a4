package chart

import (
	"context"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
	"github.com/volcano-sh/kthena-certgen/internal/helm"
	"github.com/volcano-sh/kthena-certgen/internal/probe"
)

// The names in Kthena's own chart.
const (
	ownManager  = "kthena-controller-manager"
	ownRouter   = "kthena-router"
	ownMutating = "kthena-controller-manager-mutating-webhook"
)

var ownValidating = []string{"kthena-controller-manager-validating-webhook", "kthena-router-validating-webhook"}

// The steps of docs/moving-from-kthena.md. No admission request fails, and nothing of the user's is lost.
func TestMovingFromKthenasOwnChartFailsNoRequestAndLosesNothing(t *testing.T) {
	i := env.Prepare(t)
	t.Cleanup(func() { forgetOwn(t) })
	own := map[string]any{"downloader": map[string]any{"accessKey": "access", "secretKey": "secret"}}
	for key, server := range map[string]string{"controllerManagerCA": ownManager, "routerCA": ownRouter} {
		ca := i.CreateOwnSecret(t, server+"-webhook-certs", server+"-webhook."+i.Namespace+".svc")
		own[key] = base64.StdEncoding.EncodeToString(ca)
	}
	i.CreateOwnSecret(t, "kthena-router-tls", "llm.example.com")
	before := tlsSecrets(t, i)
	require.Len(t, before, 3)
	_, err := i.Helm.Install(t.Context(), charttest.Release, filepath.Join("testdata", "kthena-own"), own, helm.ReleaseOptions{})
	require.NoError(t, err)
	service := giveAddress(t, i)
	editConfig(t, i)
	values := map[string]any{"networking": map[string]any{"kthenaRouter": map[string]any{
		"service":             map[string]any{"type": string(corev1.ServiceTypeLoadBalancer)},
		"routerConfiguration": map[string]any{"auth": map[string]any{"issuer": "https://issuer.example.com"}},
	}}}

	p := probe.Start(t.Context(), ownTargets(t, i), probeRate)
	keepOwn(t, i)
	orphan := metav1.DeletePropagationOrphan
	require.NoError(t, env.Client.AppsV1().Deployments(i.Namespace).Delete(t.Context(), ownRouter, metav1.DeleteOptions{PropagationPolicy: &orphan}))
	may := charttest.PerComponent(map[string]any{"webhook": map[string]any{"failurePolicy": "Ignore"}})
	i.Upgrade(t, charttest.Merged(values, may))
	i.Upgrade(t, values)
	removeOwn(t, i)
	report := p.Stop()

	t.Logf("%s: %q", charttest.Figures(report), report.Errors)
	assert.Positive(t, report.Sent)
	assert.LessOrEqual(t, report.Closed, report.ClosedLimit(), "%q", report.Errors)
	for _, text := range report.Errors {
		assert.Contains(t, text, "denied the request", "an invalid object may be refused by the new entry instead of the old, and nothing else may happen")
		assert.NotContains(t, text, "failed calling webhook")
	}
	i.RequireAdmission(t, charttest.Entries)
	i.RequireNoRestarts(t)
	for name, s := range before {
		after, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, s.ResourceVersion, after.ResourceVersion, "Secret %s is untouched", name)
	}
	downloader, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), "downloader-secrets", metav1.GetOptions{})
	require.NoError(t, err, "models are downloaded with it")
	assert.Equal(t, "secret", string(downloader.Data["secretKey"]))
	moved := ownService(t, i)
	assert.Equal(t, service.UID, moved.UID)
	assert.Equal(t, service.Spec.Type, moved.Spec.Type, "a cloud takes the address of another type away")
	assert.Equal(t, service.Status, moved.Status)
	assert.Equal(t, service.Spec.ClusterIP, moved.Spec.ClusterIP)
	assert.Equal(t, service.Spec.Ports[0].NodePort, moved.Spec.Ports[0].NodePort)
	config, err := env.Client.CoreV1().ConfigMaps(i.Namespace).Get(t.Context(), "kthena-router-config", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, config.Data["routerConfiguration"], "issuer: https://issuer.example.com", "the user's authentication is on")
	router, err := env.Client.AppsV1().Deployments(i.Namespace).Get(t.Context(), ownRouter, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, router.Spec.Template.Spec.Volumes, corev1.Volume{Name: "router-config", VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: config.Name}, DefaultMode: ptr.To[int32](0o644),
			Items: []corev1.KeyToPath{{Key: "routerConfiguration", Path: "routerConfiguration.yaml"}},
		},
	}}, "and the router reads it")
}

// ownService is that of the router.
func ownService(t *testing.T, i *charttest.Installation) *corev1.Service {
	t.Helper()
	service, err := env.Client.CoreV1().Services(i.Namespace).Get(t.Context(), ownRouter, metav1.GetOptions{})
	require.NoError(t, err)
	return service
}

// giveAddress is what a cloud does for the router's Service. Helm waits for it.
func giveAddress(t *testing.T, i *charttest.Installation) *corev1.Service {
	t.Helper()
	service := ownService(t, i)
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.7"}}
	service, err := env.Client.CoreV1().Services(i.Namespace).UpdateStatus(t.Context(), service, metav1.UpdateOptions{})
	require.NoError(t, err)
	return service
}

// editConfig is what users of Kthena's chart do by hand: it has no value for what the router reads.
func editConfig(t *testing.T, i *charttest.Installation) {
	t.Helper()
	patch := []byte(`{"data":{"routerConfiguration":"auth:\n  issuer: https://issuer.example.com\n"}}`)
	_, err := env.Client.CoreV1().ConfigMaps(i.Namespace).Patch(t.Context(), "kthena-router-config", types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"})
	require.NoError(t, err)
}

// tlsSecrets are those with keys, by name.
func tlsSecrets(t *testing.T, i *charttest.Installation) map[string]corev1.Secret {
	t.Helper()
	list, err := env.Client.CoreV1().Secrets(i.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeTLS)})
	require.NoError(t, err)
	byName := map[string]corev1.Secret{}
	for _, s := range list.Items {
		byName[s.Name] = s
	}
	return byName
}

// ownTargets are the webhook entries of Kthena's own chart, once the API server asks them.
func ownTargets(t *testing.T, i *charttest.Installation) []probe.Target {
	t.Helper()
	var targets []probe.Target
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets = i.Targets(t)
		require.Len(c, targets, charttest.Entries)
		for _, target := range targets {
			assert.True(c, strings.HasPrefix(target.Configuration, "kthena-controller-manager-") || strings.HasPrefix(target.Configuration, "kthena-router-"))
			assert.NoError(c, target.Send(t.Context(), true))
			assert.NoError(c, target.Send(t.Context(), false))
		}
	}, charttest.Wait.Timeout, 50*time.Millisecond)
	return targets
}

// keepOwn has Helm leave the old servers and their webhooks where they are.
func keepOwn(t *testing.T, i *charttest.Installation) {
	t.Helper()
	patch := []byte(`{"metadata":{"annotations":{"helm.sh/resource-policy":"keep"}}}`)
	c, merge, ctx := env.Client, types.MergePatchType, t.Context()
	o := metav1.PatchOptions{FieldManager: "kubectl-annotate"}
	var errs []error
	patched := func(_ any, err error) { errs = append(errs, err) }
	patched(c.AppsV1().Deployments(i.Namespace).Patch(ctx, ownManager, merge, patch, o))
	patched(c.CoreV1().ServiceAccounts(i.Namespace).Patch(ctx, ownManager, merge, patch, o))
	patched(c.CoreV1().Services(i.Namespace).Patch(ctx, ownManager+"-webhook", merge, patch, o))
	patched(c.CoreV1().Services(i.Namespace).Patch(ctx, ownRouter+"-webhook", merge, patch, o))
	patched(c.CoreV1().Secrets(i.Namespace).Patch(ctx, "downloader-secrets", merge, patch, o))
	patched(c.RbacV1().ClusterRoles().Patch(ctx, ownManager, merge, patch, o))
	patched(c.RbacV1().ClusterRoleBindings().Patch(ctx, ownManager, merge, patch, o))
	patched(c.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(ctx, ownMutating, merge, patch, o))
	for _, name := range ownValidating {
		patched(c.AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(ctx, name, merge, patch, o))
	}
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// removeOwn removes the old webhooks and then, when the API server does not ask them any more, their servers.
func removeOwn(t *testing.T, i *charttest.Installation) {
	t.Helper()
	c, ctx, o := env.Client, t.Context(), metav1.DeleteOptions{}
	require.NoError(t, c.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, ownMutating, o))
	for _, name := range ownValidating {
		require.NoError(t, c.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, name, o))
	}
	awaitNewAlone(t, i)
	background := metav1.DeletePropagationBackground
	o.PropagationPolicy = &background
	require.NoError(t, c.AppsV1().Deployments(i.Namespace).Delete(ctx, ownManager, o))
	require.NoError(t, c.AppsV1().ReplicaSets(i.Namespace).DeleteCollection(ctx, o, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/component=kthena-router,app.kubernetes.io/part-of!=kthena",
	}))
	for _, name := range []string{ownManager + "-webhook", ownRouter + "-webhook"} {
		require.NoError(t, c.CoreV1().Services(i.Namespace).Delete(ctx, name, o))
	}
	require.NoError(t, c.CoreV1().ServiceAccounts(i.Namespace).Delete(ctx, ownManager, o))
	require.NoError(t, c.RbacV1().ClusterRoles().Delete(ctx, ownManager, o))
	require.NoError(t, c.RbacV1().ClusterRoleBindings().Delete(ctx, ownManager, o))
}

// awaitNewAlone waits until the API server has learnt that the old webhooks are gone: each new entry is the one that refuses, every time.
func awaitNewAlone(t *testing.T, i *charttest.Installation) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets := i.Targets(t)
		require.Len(c, targets, charttest.Entries)
		for range 10 {
			for _, target := range targets {
				require.NoError(c, target.Send(t.Context(), false))
			}
		}
	}, charttest.Wait.Timeout, 50*time.Millisecond)
}

// forgetOwn removes the old webhooks that a test that has failed in the middle leaves, so that they do not refuse the others' objects.
func forgetOwn(t *testing.T) {
	t.Helper()
	c, ctx, o := env.Client.AdmissionregistrationV1(), context.WithoutCancel(t.Context()), metav1.DeleteOptions{}
	errs := []error{c.MutatingWebhookConfigurations().Delete(ctx, ownMutating, o)}
	for _, name := range ownValidating {
		errs = append(errs, c.ValidatingWebhookConfigurations().Delete(ctx, name, o))
	}
	for _, err := range errs {
		if !apierrors.IsNotFound(err) {
			assert.NoError(t, err)
		}
	}
}
