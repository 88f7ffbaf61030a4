package manual

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/reader"
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

// theCronJobVerifies runs the pod of the ready CronJob, whose controller is not in the local cluster, and requires that it finds
// nothing wrong with the rights that come with it.
func theCronJobVerifies(t *testing.T, _ *reader.Reader) {
	t.Helper()
	const namespace, name = "kthena-system", "kthena-verify"
	job, err := env.Client.BatchV1().CronJobs(namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	template := job.Spec.JobTemplate.Spec.Template
	pods := env.Client.CoreV1().Pods(namespace)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-", Labels: template.Labels}, Spec: template.Spec,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pod, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
		require.NoError(c, err)
		require.Contains(c, []corev1.PodPhase{corev1.PodSucceeded, corev1.PodFailed}, pod.Status.Phase)
	}, time.Minute, 50*time.Millisecond)
	log, err := env.Kubelet.Logs(namespace, pod.Name, template.Spec.Containers[0].Name)
	require.NoError(t, err)
	pod, err = pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, corev1.PodSucceeded, pod.Status.Phase, string(log))
	assert.NotContains(t, string(log), "forbidden")
	require.NoError(t, pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
}
