// Package confinement tries whatever the chart's service accounts must not do, with their real tokens on a real API server, and whatever
// they must.
package confinement

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// env is the cluster that the tests of this package share.
var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{}, &env) }

// The service accounts.
const (
	registry   = "kthena-registry"
	workload   = "kthena-workload"
	router     = "kthena-router"
	controller = "kthena-certgen"
	verifier   = "kthena-verify"
)

// settling is how long the API server may take to learn of a policy, which it looks for every second.
const settling = 20 * time.Second

// common is a label and an annotation of whatever the release makes, with the value "yes".
const common = "example.com/common"

// values are those of a release that has every Secret, with or without the policies. Its controller would undo what tests do.
func values(policies bool) map[string]any {
	return charttest.Merged(charttest.InMode(charttest.Auto, 1), map[string]any{
		"global": map[string]any{
			"admissionPolicies": map[string]any{"enabled": policies},
			"certgen":           map[string]any{"controller": map[string]any{"enabled": false}},
			"commonLabels":      map[string]any{common: "yes"}, "commonAnnotations": map[string]any{common: "yes"},
		},
		"networking": map[string]any{"kthenaRouter": map[string]any{"tls": map[string]any{"enabled": true, "dnsName": "models.example.com"}}},
	})
}

// as is a configuration of a client that shows a fresh token of a service account and nothing else.
func as(t testing.TB, namespace, account string) *rest.Config {
	t.Helper()
	accounts := env.Client.CoreV1().ServiceAccounts(namespace)
	request, err := accounts.CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config := rest.AnonymousClientConfig(env.Config)
	config.BearerToken, config.QPS, config.WarningHandler = request.Status.Token, -1, rest.NoWarnings{}
	return config
}

// grant gives a service account more rights, in the whole cluster, until the test ends.
func grant(t testing.TB, namespace, account string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	bind(t, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}, rules...)
}

// bind gives somebody rights in the whole cluster until the test ends.
func bind(t testing.TB, subject rbacv1.Subject, rules ...rbacv1.PolicyRule) {
	t.Helper()
	rbac := env.Client.RbacV1()
	role, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "confinement-"}, Rules: rules,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	binding, err := rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "confinement-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{subject},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, rbac.ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{}))
		require.NoError(t, rbac.ClusterRoles().Delete(ctx, role.Name, metav1.DeleteOptions{}))
	})
}
