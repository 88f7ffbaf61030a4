package controller

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// unbind takes the rights of the controller's service account away, and returns what gives them back.
func unbind(t *testing.T, i *charttest.Installation) (bind func()) {
	t.Helper()
	rbac := env.Client.RbacV1()
	role, err := rbac.RoleBindings(i.Namespace).Get(t.Context(), deployment, metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, rbac.RoleBindings(i.Namespace).Delete(t.Context(), role.Name, metav1.DeleteOptions{}))
	list, err := rbac.ClusterRoleBindings().List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + deployment})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	cluster := &list.Items[0]
	require.NoError(t, rbac.ClusterRoleBindings().Delete(t.Context(), cluster.Name, metav1.DeleteOptions{}))
	role.ResourceVersion, role.UID, cluster.ResourceVersion, cluster.UID = "", "", "", ""
	return func() {
		_, err := rbac.RoleBindings(i.Namespace).Create(t.Context(), role, metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = rbac.ClusterRoleBindings().Create(t.Context(), cluster, metav1.CreateOptions{})
		require.NoError(t, err)
	}
}

// wipe takes the CA out of the first entry of the registry's configuration.
func wipe(t *testing.T) {
	t.Helper()
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	w, err := client.Get(t.Context(), "kthena-registry-validating-webhook", metav1.GetOptions{})
	require.NoError(t, err)
	w.Webhooks[0].ClientConfig.CABundle = nil
	_, err = client.Update(t.Context(), w, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// awaitHealed waits until that entry trusts the CAs of its Secret.
func awaitHealed(t *testing.T, i *charttest.Installation) {
	t.Helper()
	_, stored := secretOf(t, i, autoSecret("registry"))
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	require.Eventually(t, func() bool {
		w, err := client.Get(t.Context(), "kthena-registry-validating-webhook", metav1.GetOptions{})
		require.NoError(t, err)
		live, _ := gen.ParseCertificates(w.Webhooks[0].ClientConfig.CABundle)
		return live.ContainsAll(stored.CAs, time.Now())
	}, patience, 10*time.Millisecond)
}

func TestMissingRightsAreNamedOnceAndWaitedFor(t *testing.T) {
	i := install(t, charttest.PerComponent(map[string]any{"replicas": 1}))
	// forbidden counts the requests that were refused, by path.
	var mu sync.Mutex
	forbidden := map[string]int{}
	c := newProcess(t, i, newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		recorded := &statusRecorder{ResponseWriter: w}
		forward.ServeHTTP(recorded, r)
		if recorded.code == http.StatusForbidden {
			mu.Lock()
			forbidden[r.URL.Path]++
			mu.Unlock()
		}
	}), func(config string) string { return config })
	bind := unbind(t, i)
	c.start(t)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		fewest := 3
		for _, n := range forbidden {
			fewest = min(fewest, n)
		}
		return len(forbidden) >= 5 && fewest == 3
	}, patience, 100*time.Millisecond, "it asks again for each")
	log := c.text()
	said := map[string]int{}
	for _, line := range regexp.MustCompile(
		`msg="right is missing: grant it to the controller's service account" what=\S+ error="[^\n]*`,
	).FindAllString(log, -1) {
		assert.Contains(t, line, "is forbidden: User")
		said[line]++
	}
	// Three Secrets and three Deployments, four webhook configurations, and the EndpointSlices.
	assert.Len(t, said, 11, "each is named:\n%s", log)
	for line, n := range said {
		assert.Equal(t, 1, n, "it is named once: %s", line)
	}
	wipe(t)
	bind()
	awaitHealed(t, i)
	assert.False(t, c.hasEnded(), "it is the same process")
}

func TestADeploymentThatDoesNotExistIsNamedOnceAndTheOthersAreKeptInOrder(t *testing.T) {
	i := install(t, charttest.PerComponent(map[string]any{"replicas": 1}))
	require.NoError(t, env.Client.AppsV1().Deployments(i.Namespace).Delete(t.Context(), "kthena-workload", metav1.DeleteOptions{}))
	const finding = `level=WARN msg=finding component=kthena-workload code=deployment-missing message="Deployment %s/kthena-workload does ` +
		`not exist, so nothing is rolled: run helm upgrade"`
	line := fmt.Sprintf(finding, i.Namespace)
	require.Eventually(t, func() bool { return strings.Contains(logOf(t, i), line) }, patience, 100*time.Millisecond)
	force(t, i, "workload")
	force(t, i, "registry")
	awaitServed(t, i, "registry-webhook", fingerprint(t, i, autoSecret("registry")), 1)
	wipe(t)
	awaitHealed(t, i)
	log := logOf(t, i)
	assert.Equal(t, 1, strings.Count(log, "msg=finding component=kthena-workload code=deployment-missing"), "%s", log)
	requireNoRestart(t, i)
}

func TestASecretWithoutACertificateIsNamedOnceAndWaitedFor(t *testing.T) {
	i := env.Prepare(t)
	t.Cleanup(func() { explain(t, i) })
	company := newCompany(t)
	for subchart := range subcharts {
		company.issue(t, i, subchart)
	}
	i.Install(t, charttest.Merged(manual(company.cert), charttest.PerComponent(map[string]any{"replicas": 1})))
	secrets, name := env.Client.CoreV1().Secrets(i.Namespace), charttest.OwnSecret("registry")
	before := generations(t, i)
	s, _ := secretOf(t, i, name)
	s.Data["tls.crt"] = []byte("none")
	_, err := secrets.Update(t.Context(), s, metav1.UpdateOptions{})
	require.NoError(t, err)
	log := func() string { return logOf(t, i) }
	const finding = "msg=finding component=kthena-registry code=secret-invalid"
	require.Eventually(t, func() bool { return strings.Contains(log(), finding) }, patience, 100*time.Millisecond)
	assert.Contains(t, log(), fmt.Sprintf("Secret %s/%s: ", i.Namespace, name))
	i.RequireAdmission(t, charttest.Entries)
	require.Equal(t, before, generations(t, i), "nothing is rolled to it")

	company.issue(t, i, "registry")
	awaitServed(t, i, "registry-webhook", leafOf(t, i, name), 1)
	require.Eventually(t, func() bool {
		return strings.Contains(log(), `msg="finding is over" component=kthena-registry code=secret-invalid`)
	}, patience, 100*time.Millisecond)
	assert.Equal(t, 1, strings.Count(log(), finding), "%s", log())
	requireNoRestart(t, i)
}

// requireNoRestart requires that the controller's process is the first one.
func requireNoRestart(t *testing.T, i *charttest.Installation) {
	t.Helper()
	for _, p := range controllerPods(t, i) {
		require.Zero(t, p.Status.ContainerStatuses[0].RestartCount)
	}
}

// logOf is what the one controller of a release has written.
func logOf(t *testing.T, i *charttest.Installation) string {
	t.Helper()
	pods := controllerPods(t, i)
	require.Len(t, pods, 1)
	log, err := env.Kubelet.Logs(i.Namespace, pods[0].Name, "controller")
	require.NoError(t, err)
	return string(log)
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	code int
}

func (r *statusRecorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets the proxy flush what a watch sends, and take connections over.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
