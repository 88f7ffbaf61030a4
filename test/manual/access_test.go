package manual

import (
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// letVerifyForwardPorts gives the account that verifies in the cluster the right that a process needs and a pod does not: it
// reaches the other pods through the API server, because they are processes too.
func letVerifyForwardPorts(t *testing.T) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "manual-port-forward"}
	_, err := env.Client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = env.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "kthena-system", Name: "kthena-verify"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}
