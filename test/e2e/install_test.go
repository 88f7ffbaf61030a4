//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

const (
	replicas = 3
	// rate is that of the probe, in objects a second.
	rate = 40
)

// user is the one that every container runs as.
const user = 65532

func TestTheChartInEachMode(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			i := prepare(t)
			var own []byte
			if mode == charttest.Manual {
				own = i.CreateOwnSecrets(t)
			}
			i.Install(t, values(mode, own))
			requirePods(t, i)
			i.RequireAdmission(t, charttest.Entries)

			t.Run("no request fails during a rolling restart", func(t *testing.T) {
				p := i.Probe(t, rate)
				i.Restart(t)
				charttest.AssertNoneFailed(t, p.Stop())
				requirePods(t, i)
			})
			t.Run("its own tests pass", func(t *testing.T) {
				var logs bytes.Buffer
				err := i.Helm.Test(charttest.Release, &logs, helm.ReleaseOptions{Timeout: timeout})
				t.Log(logs.String())
				require.NoError(t, err)
			})
			t.Run("nothing is left but the Secrets", func(t *testing.T) {
				require.NoError(t, i.Helm.Uninstall(charttest.Release, charttest.Wait))
				requireGone(t, i, mode)
			})
		})
	}
}

// Kthena's servers do not drain, and depend on the preStop of the chart: a roll never meets a closed port.
func TestARollOfServersLikeKthenasMeetsNoClosedPort(t *testing.T) {
	i := prepare(t)
	like := charttest.PerComponent(map[string]any{"extraArgs": []any{}})
	i.Install(t, charttest.Merged(values(charttest.Auto, nil), like))
	i.RequireAdmission(t, charttest.Entries)
	p := i.Probe(t, rate)
	for range 3 {
		i.Restart(t)
	}
	charttest.AssertNoneBroken(t, p.Stop())
	requirePods(t, i)
}

// prepare makes a namespace that enforces the Pod Security Standard restricted and denies all traffic, and shows that it does.
func prepare(t *testing.T) *charttest.Installation {
	t.Helper()
	i := env.Prepare(t)
	deny := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "default-deny"},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		},
	}
	_, err := env.Client.NetworkingV1().NetworkPolicies(i.Namespace).Create(t.Context(), deny, metav1.CreateOptions{})
	require.NoError(t, err)
	root := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "root"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "root", Image: "root"}}},
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := env.Client.CoreV1().Pods(i.Namespace).Create(t.Context(), root, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		require.True(c, apierrors.IsForbidden(err), "%v", err)
		assert.ErrorContains(c, err, `violates PodSecurity "restricted:latest"`)
	}, timeout, tick, "the namespace has its service account, and refuses a pod that may run as root")
	return i
}

// values are those of a mode; in manual mode the API server is to trust bundle.
func values(mode string, bundle []byte) map[string]any {
	list := charttest.InMode(mode, replicas)
	if mode == charttest.Manual {
		list = charttest.InManualMode(replicas, bundle)
	}
	allowed := charttest.PerComponent(map[string]any{"networkPolicy": map[string]any{"enabled": true}})
	return withImages(charttest.Merged(list, allowed))
}

// requirePods requires that every pod is ready and was so at once, as the user that the image and the chart name.
func requirePods(t *testing.T, i *charttest.Installation) {
	t.Helper()
	i.RequireNoRestarts(t)
	pods := i.AllPods(t)
	want := map[string]int{"kthena-certgen": 1}
	for _, deployment := range charttest.Deployments {
		want[deployment] = replicas
	}
	for deployment, n := range want {
		require.Len(t, pods[deployment], n)
		for _, p := range pods[deployment] {
			ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			})
			require.True(t, ready, "pod %s", p.Name)
			for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
				require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, "container %s of pod %s", c.Name, p.Name)
			}
			for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
				// Older kubelets do not say whom a container has been started as.
				if c.User != nil && c.User.Linux != nil {
					require.EqualValues(t, user, c.User.Linux.UID, "container %s of pod %s", c.Name, p.Name)
				}
			}
		}
	}
}

// requireGone requires that an uninstalled release has left the Secrets with keys, which nobody else has a copy of, the pod of
// helm test, and nothing else.
func requireGone(t *testing.T, i *charttest.Installation, mode string) {
	t.Helper()
	left := map[string][]string{
		charttest.Auto:   {"networking-webhook-certs-auto", "registry-webhook-certs-auto", "workload-webhook-certs-auto"},
		charttest.Manual: {charttest.OwnSecret("networking"), charttest.OwnSecret("registry"), charttest.OwnSecret("workload")},
		charttest.CertManager: {
			"networking-webhook-ca", "networking-webhook-certs", "registry-webhook-ca", "registry-webhook-certs", "workload-webhook-ca",
			"workload-webhook-certs",
		},
	}
	secrets, err := env.Client.CoreV1().Secrets(i.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var names []string
	for _, s := range secrets.Items {
		names = append(names, s.Name)
	}
	assert.Equal(t, left[mode], names)

	// Helm does not delete the pods of tests with the release.
	require.NoError(t, env.Client.CoreV1().Pods(i.Namespace).Delete(t.Context(), "kthena-verify", metav1.DeleteOptions{}))
	ofRelease := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + charttest.Release}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for kind, list := range listers(i.Namespace) {
			found, err := list(t.Context(), ofRelease)
			require.NoError(c, err, kind)
			assert.Empty(c, found, kind)
		}
	}, timeout, tick, "pods end in their own time")
}

// listers list the names of objects, by kind.
func listers(namespace string) map[string]func(context.Context, metav1.ListOptions) ([]string, error) {
	c := env.Client
	return map[string]func(context.Context, metav1.ListOptions) ([]string, error){
		"Deployment":                       names(c.AppsV1().Deployments(namespace).List),
		"Pod":                              names(c.CoreV1().Pods(namespace).List),
		"Service":                          names(c.CoreV1().Services(namespace).List),
		"ServiceAccount":                   names(c.CoreV1().ServiceAccounts(namespace).List),
		"ConfigMap":                        names(c.CoreV1().ConfigMaps(namespace).List),
		"Role":                             names(c.RbacV1().Roles(namespace).List),
		"RoleBinding":                      names(c.RbacV1().RoleBindings(namespace).List),
		"NetworkPolicy":                    names(c.NetworkingV1().NetworkPolicies(namespace).List),
		"ClusterRole":                      names(c.RbacV1().ClusterRoles().List),
		"ClusterRoleBinding":               names(c.RbacV1().ClusterRoleBindings().List),
		"admission policy":                 names(c.AdmissionregistrationV1().ValidatingAdmissionPolicies().List),
		"admission policy binding":         names(c.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().List),
		"mutating webhook configuration":   names(c.AdmissionregistrationV1().MutatingWebhookConfigurations().List),
		"validating webhook configuration": names(c.AdmissionregistrationV1().ValidatingWebhookConfigurations().List),
	}
}
