package localcluster

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LetForward gives a service account the right to forward ports of the pods in its namespace, which must exist. The process of a
// pod is outside of the pods' network here, so one that calls other pods by their addresses has to reach them as a person would,
// through the API server.
func (c *Cluster) LetForward(ctx context.Context, namespace, serviceAccount string) error {
	name := serviceAccount + "-forwards-ports-on-the-local-cluster"
	_, err := c.Client.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating role %s/%s: %w", namespace, name, err)
	}
	_, err = c.Client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: serviceAccount}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating role binding %s/%s: %w", namespace, name, err)
	}
	return nil
}
