package chart

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// What users of Kthena know of its certificates has a test of the same name here, whatever else tests it.

const day = 24 * time.Hour

func TestSeedOfAutoMode(t *testing.T) {
	values := func(n int) map[string]any {
		return charttest.Merged(charttest.Merged(charttest.Replicas(n), charttest.Draining()), routerTLS)
	}
	i := env.Install(t, values(3))
	secrets := env.Client.CoreV1().Secrets(i.Namespace)

	t.Run("auto is the default", func(t *testing.T) {
		require.Equal(t, charttest.Deployments, slices.Sorted(maps.Keys(i.Pods(t))))
		for subchart := range charttest.Subcharts {
			_, err := secrets.Get(t.Context(), subchart+"-webhook-certs-auto", metav1.GetOptions{})
			require.NoError(t, err)
		}
		i.RequireNoRestarts(t)
		i.RequireAdmission(t, charttest.Entries)
	})
	t.Run("replicas that start together share one Secret", func(t *testing.T) {
		together := 0
		for deployment, pods := range i.Pods(t) {
			outcomes, fingerprints := map[string]int{}, map[string]bool{}
			for _, log := range i.CertgenLogs(t, deployment) {
				line := lastLine(t, log)
				outcomes[line.Outcome]++
				fingerprints[line.CAFingerprint] = true
				assert.NotContains(t, log, "PRIVATE KEY")
			}
			// The controller may have been faster than all of them.
			assert.LessOrEqual(t, outcomes["created"], 1, "%s: %v", deployment, outcomes)
			assert.Equal(t, len(pods), outcomes["created"]+outcomes["reused"], "%s: %v", deployment, outcomes)
			assert.Len(t, fingerprints, 1, deployment)
			together = max(together, len(pods))
		}
		assert.Equal(t, 3, together)
	})
	t.Run("the CA and the server certificate are valid for ten years", func(t *testing.T) {
		for subchart := range charttest.Subcharts {
			s, err := secrets.Get(t.Context(), subchart+"-webhook-certs-auto", metav1.GetOptions{})
			require.NoError(t, err)
			chain, _ := gen.ParseCertificates(s.Data[corev1.TLSCertKey])
			cas, _ := gen.ParseCertificates(s.Data["ca.crt"])
			for _, c := range append(chain, cas...) {
				assert.WithinDuration(t, time.Now().Add(10*365*day), c.NotAfter, time.Hour)
			}
			require.NotEmpty(t, chain)
			require.NotEmpty(t, cas)
			assert.Equal(t, dnsNames(subchart, i.Namespace), chain[0].DNSNames)
		}
	})
	t.Run("the service account can create and get the Secret", func(t *testing.T) {
		for deployment, secret := range map[string]string{
			"kthena-registry": "registry-webhook-certs-auto", "kthena-workload": "workload-webhook-certs-auto",
			"kthena-router": "networking-webhook-certs-auto",
		} {
			assert.True(t, allowed(t, i, deployment, "create", ""), deployment)
			assert.True(t, allowed(t, i, deployment, "get", secret), deployment)
			assert.False(t, allowed(t, i, deployment, "get", "another"), deployment)
			assert.False(t, allowed(t, i, deployment, "list", ""), deployment)
		}
	})
	t.Run("the router has a certificate for its DNS name", func(t *testing.T) { requireRouterTLS(t, i, "kthena-router-tls-auto") })
	t.Run("the first pod creates the Secret and later ones use it", func(t *testing.T) {
		t.Log(measure(t, i, step{"an upgrade to four replicas", false, func(t *testing.T) { i.Upgrade(t, values(4)) }}))
		for _, deployment := range charttest.Deployments {
			created := 0
			for _, log := range i.CertgenLogs(t, deployment) {
				if lastLine(t, log).Outcome == "created" {
					created++
				}
			}
			assert.LessOrEqual(t, created, 1, "%s: the controller may have been faster than all of its pods", deployment)
		}
		assert.Len(t, i.CertgenLogs(t, "kthena-registry"), 4)
	})
	for _, s := range []step{
		{"an upgrade that changes nothing", false, func(t *testing.T) { i.Upgrade(t, values(4)) }},
		{"a rolling restart of everything", false, i.Restart},
		{"an upgrade to fewer replicas", false, func(t *testing.T) { i.Upgrade(t, values(2)) }},
		{"a rollback", false, func(t *testing.T) { i.Rollback(t, 1) }},
	} {
		t.Run("no request fails during "+s.name, func(t *testing.T) {
			t.Log(measure(t, i, s))
			i.RequireAdmission(t, charttest.Entries)
			i.RequireNoRestarts(t)
		})
	}
	t.Run("uninstall leaves the Secrets and nothing else, and they are used again", func(t *testing.T) {
		require.NoError(t, i.Helm.Uninstall(charttest.Release, charttest.Wait))
		left, err := secrets.List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		var names []string
		for _, s := range left.Items {
			names = append(names, s.Name)
		}
		assert.Equal(
			t, []string{"kthena-router-tls-auto", "networking-webhook-certs-auto", "registry-webhook-certs-auto", "workload-webhook-certs-auto"},
			names,
		)
		ofRelease := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + charttest.Release}
		validating, err := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(t.Context(), ofRelease)
		require.NoError(t, err)
		assert.Empty(t, validating.Items)
		roles, err := env.Client.RbacV1().ClusterRoles().List(t.Context(), ofRelease)
		require.NoError(t, err)
		assert.Empty(t, roles.Items)

		i.Install(t, nil)
		i.RequireAdmission(t, charttest.Entries)
		assert.Equal(t, "reused", lastLine(t, i.CertgenLogs(t, "kthena-registry")[0]).Outcome)
	})
}

func TestSeedOfCertManagerMode(t *testing.T) {
	i := env.Install(t, charttest.Merged(charttest.InMode(charttest.CertManager, 3), routerTLS))
	client, err := dynamic.NewForConfig(env.Config)
	require.NoError(t, err)
	exists := func(t *testing.T, resource, name string) {
		t.Helper()
		_, err := client.Resource(
			schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: resource},
		).Namespace(i.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		assert.NoError(t, err)
	}
	certificate := func(t *testing.T, secret string) []string {
		t.Helper()
		s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), secret, metav1.GetOptions{})
		require.NoError(t, err)
		chain, _ := gen.ParseCertificates(s.Data[corev1.TLSCertKey])
		require.NotEmpty(t, chain)
		return chain[0].DNSNames
	}

	t.Run("each subchart has its Issuer, Certificate and Secret", func(t *testing.T) {
		for subchart := range charttest.Subcharts {
			exists(t, "issuers", subchart+"-webhook-issuer")
			exists(t, "certificates", subchart+"-webhook-cert")
			certificate(t, subchart+"-webhook-certs")
		}
	})
	t.Run("the DNS names are those of the webhook's Service", func(t *testing.T) {
		for subchart := range charttest.Subcharts {
			names := dnsNames(subchart, i.Namespace)
			assert.ElementsMatch(t, names, certificate(t, subchart+"-webhook-certs"))
			requireChain(t, i, subchart+"-webhook-certs", subchart+"-webhook-ca", names...)
		}
	})
	t.Run("the router has a certificate for its DNS name in its Secret", func(t *testing.T) {
		exists(t, "issuers", "networking-router-issuer")
		exists(t, "certificates", "networking-router-cert")
		assert.Contains(t, certificate(t, "kthena-router-tls"), outside)
		requireRouterTLS(t, i, "kthena-router-tls")
	})
	t.Run("every pod is ready without a restart", func(t *testing.T) {
		i.RequireNoRestarts(t)
		i.RequireAdmission(t, charttest.Entries)
	})
}

func TestSeedOfManualMode(t *testing.T) {
	i := env.Prepare(t)
	own := i.CreateOwnSecrets(t)

	t.Run("the three modes exclude each other", func(t *testing.T) {
		bundle := base64.StdEncoding.EncodeToString(own)
		for name, tc := range map[string]struct {
			global map[string]any
			want   string
		}{
			"two at once":           {map[string]any{"certManagementMode": []any{"auto", "manual"}}, "certManagementMode"},
			"another one":           {map[string]any{"certManagementMode": "both"}, "certManagementMode"},
			"a bundle in auto mode": {map[string]any{"webhook": map[string]any{"caBundle": bundle}}, "global.webhook.caBundle"},
			"a bundle in cert-manager mode": {
				map[string]any{"certManagementMode": "cert-manager", "webhook": map[string]any{"caBundle": bundle}}, "global.webhook.caBundle",
			},
			"manual mode without a bundle": {map[string]any{"certManagementMode": "manual"}, "global.webhook.caBundle"},
		} {
			_, err := i.Helm.Install(t.Context(), charttest.Release, env.Chart(), map[string]any{"global": tc.global}, helm.ReleaseOptions{})
			assert.ErrorContains(t, err, tc.want, name)
		}
	})
	t.Run("the CA bundle is that of the value", func(t *testing.T) {
		router := "kthena-router." + i.Namespace + ".svc"
		i.CreateOwnSecret(t, "kthena-router-tls", outside, router, router+".cluster.local")
		i.Install(t, charttest.Merged(charttest.InManualMode(3, own), routerTLS))
		targets := i.Targets(t)
		require.Len(t, targets, charttest.Entries)
		for _, target := range targets {
			assert.Equal(t, string(own), string(target.CABundle), target.Entry)
		}
		i.RequireNoRestarts(t)
		i.RequireAdmission(t, charttest.Entries)
		assert.Len(t, tlsSecrets(t, i), 4, "the user's and no others")
	})
	t.Run("the router has a certificate for its DNS name in its Secret", func(t *testing.T) { requireRouterTLS(t, i, "kthena-router-tls") })
}

// dnsNames are those of a subchart's webhook Service.
func dnsNames(subchart, namespace string) []string {
	service := subchart + "-webhook." + namespace + ".svc"
	return []string{service, service + ".cluster.local"}
}

// allowed reports whether a Deployment's service account may do verb to a Secret of its namespace.
func allowed(t *testing.T, i *charttest.Installation, deployment, verb, secret string) bool {
	t.Helper()
	review, err := env.Client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + i.Namespace + ":" + deployment,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: i.Namespace, Verb: verb, Resource: "secrets", Name: secret},
		}}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// outcome is what a run of certgen ends with.
type outcome struct{ Outcome, Reason, CAFingerprint string }

func lastLine(t *testing.T, log string) outcome {
	t.Helper()
	log = strings.TrimSpace(log)
	var line outcome
	require.NoError(t, json.Unmarshal([]byte(log[strings.LastIndexByte(log, '\n')+1:]), &line))
	return line
}
