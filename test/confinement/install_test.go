package confinement

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// installer is a user who may do everything that an install takes but for policies.
const installer = "installer"

func TestWhoMayNotCreatePoliciesInstallsWithoutThem(t *testing.T) {
	i := env.Prepare(t)
	every := func(group string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: []string{"*"}}
	}
	bind(t, rbacv1.Subject{Kind: rbacv1.UserKind, Name: installer, APIGroup: rbacv1.GroupName},
		every("", "*"), every("apps", "*"), every("rbac.authorization.k8s.io", "*"),
		every("workload.serving.volcano.sh", "*"), every("networking.serving.volcano.sh", "*"),
		every("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"))
	config, err := clientcmd.LoadFromFile(env.Kubeconfig)
	require.NoError(t, err)
	for _, user := range config.AuthInfos {
		user.Impersonate = installer
	}
	path := t.TempDir() + "/kubeconfig"
	require.NoError(t, clientcmd.WriteToFile(*config, path))
	client, err := helm.New(path, i.Namespace)
	require.NoError(t, err)

	_, err = client.Install(t.Context(), charttest.Release, env.Chart(), values(true), charttest.Wait)
	// Helm looks at all that it will make before it makes anything.
	require.ErrorContains(t, err, `cannot get resource "validatingadmissionpolicies" in API group "admissionregistration.k8s.io"`)
	_, err = client.Install(t.Context(), charttest.Release, env.Chart(), values(false), charttest.Wait)
	require.NoError(t, err)
	i.RequireAdmission(t, charttest.Entries)
	list, err := env.Client.AdmissionregistrationV1().ValidatingAdmissionPolicies().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, list.Items)
}

func TestNoChangeOfAReleaseLocksAPodOut(t *testing.T) {
	i := env.Prepare(t)
	with := func(secret string, tls bool) map[string]any {
		return charttest.Merged(values(true), map[string]any{
			"registry": map[string]any{
				"controllerManager": map[string]any{"webhook": map[string]any{"tls": map[string]any{"secretName": secret}}},
			},
			"networking": map[string]any{"kthenaRouter": map[string]any{"tls": map[string]any{"enabled": tls}}},
		})
	}
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"an install", func(t *testing.T) { i.Install(t, with("one", false)) }},
		{"another name of a Secret", func(t *testing.T) { i.Upgrade(t, with("two", false)) }},
		{"a certificate more", func(t *testing.T) { i.Upgrade(t, with("two", true)) }},
		{"a rollback", func(t *testing.T) { i.Rollback(t, 1) }},
		{"policies that are turned off", func(t *testing.T) {
			i.Upgrade(t, charttest.Merged(with("one", true), map[string]any{
				"global": map[string]any{"admissionPolicies": map[string]any{"enabled": false}},
			}))
		}},
		{"policies that are turned on, with another name", func(t *testing.T) { i.Upgrade(t, with("three", true)) }},
		{"an uninstall and an install", func(t *testing.T) {
			require.NoError(t, i.Helm.Uninstall(charttest.Release, charttest.Wait))
			i.Install(t, with("four", true))
		}},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.do(t)
			i.RequireAdmission(t, charttest.Entries)
			i.RequireNoRestarts(t)
		})
	}
}
