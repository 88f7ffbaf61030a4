package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/internal/probe"
)

var all = []string{"kthena-registry", "kthena-router", "kthena-workload"}

func TestAFreshInstallIsReadyWithoutARestart(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("with %d replicas", n), func(t *testing.T) {
			i := install(t, replicas(n))
			require.Equal(t, all, components(i.pods(t)))
			i.requireNoRestarts(t)
			i.requireAdmission(t, 7)
			for _, component := range all {
				logs := i.certgenLogs(t, component)
				require.Len(t, logs, n)
				outcomes := map[string]int{}
				fingerprints := map[string]bool{}
				for _, log := range logs {
					lines := strings.Split(strings.TrimSpace(log), "\n")
					var line struct{ Outcome, CAFingerprint string }
					require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &line))
					outcomes[line.Outcome]++
					fingerprints[line.CAFingerprint] = true
					assert.NotContains(t, log, "PRIVATE KEY")
				}
				assert.Equal(t, 1, outcomes["created"], "%s: %v", component, outcomes)
				assert.Equal(t, n-1, outcomes["reused"], "%s: %v", component, outcomes)
				assert.Len(t, fingerprints, 1)
			}
		})
	}
}

func TestOneSubchartAloneWorks(t *testing.T) {
	off := map[string]any{"enabled": false}
	for name, tc := range map[string]struct {
		values    map[string]any
		component string
		entries   int
	}{
		"registry":   {map[string]any{"workload": off, "networking": off}, "kthena-registry", 4},
		"workload":   {map[string]any{"registry": off, "networking": off}, "kthena-workload", 1},
		"networking": {map[string]any{"registry": off, "workload": off}, "kthena-router", 2},
	} {
		t.Run(name, func(t *testing.T) {
			i := install(t, tc.values)
			require.Equal(t, []string{tc.component}, components(i.pods(t)))
			i.requireAdmission(t, tc.entries)
		})
	}
}

func TestNoAdmissionRequestFailsDuring(t *testing.T) {
	i := install(t, replicas(3))
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"an upgrade that changes nothing", func(t *testing.T) { i.upgrade(t, replicas(3)) }},
		{"a rolling restart of everything", i.restart},
		{"an upgrade to two replicas", func(t *testing.T) { i.upgrade(t, replicas(2)) }},
		{"a rollback", func(t *testing.T) {
			_, err := i.helm.Rollback(release, 1, wait)
			require.NoError(t, err)
		}},
		{"the loss of every Secret and a rolling restart", func(t *testing.T) {
			secrets := cluster.Client.CoreV1().Secrets(i.namespace)
			require.NoError(t, secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=kthena-certgen"}))
			i.restart(t)
		}},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			p := probe.Start(t.Context(), i.targets(t), 40)
			step.do(t)
			report := p.Stop()
			t.Logf("%d sent in %s, %d failed, %d of them on a connection that was being closed, longest gap %s", report.Sent, report.Duration.Round(time.Millisecond), report.Failed, report.Closed, report.LongestGap)
			assert.Zero(t, report.Broken(), "%q", report.Errors)
			assert.LessOrEqual(t, report.Closed, report.ClosedLimit(), "%q", report.Errors)
			assert.Positive(t, report.Sent)
		})
		if !ok {
			return
		}
	}
	i.requireNoRestarts(t)
	i.requireAdmission(t, 7)
}

// A later chart may add an entry to a configuration. Nothing else in the pods changes then, but they are what gives the
// entry its CA.
func TestAnEntryThatAnUpgradeAddsGetsItsCA(t *testing.T) {
	i := install(t, nil)
	i.requireAdmission(t, 7)

	later := filepath.Join(t.TempDir(), "kthena")
	require.NoError(t, os.CopyFS(later, os.DirFS(chartDir)))
	path := filepath.Join(later, "charts", "workload", "templates", "_webhooks.tpl")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, after, found := strings.Cut(string(text), "- name: validate-")
	require.True(t, found)
	entry, _, found := strings.Cut(after, "{{- end }}")
	require.True(t, found)
	both := entry + "- name: validate-again-" + entry
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte(entry), []byte(both), 1), 0o600))

	_, err = i.helm.Upgrade(t.Context(), release, later, nil, wait)
	require.NoError(t, err)
	// Helm applies the Deployment before the configuration, and processes start faster than containers: a pod that read the
	// configuration before the entry was there has not given it a CA. See docs/certificate-management.md, known limits.
	i.restart(t)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets := i.targets(t)
		require.Len(c, targets, 8)
		for _, target := range targets {
			assert.NotEmpty(c, target.CABundle, "of %s", target.Entry)
			assert.NoError(c, target.Send(t.Context(), true))
		}
	}, settling, 50*time.Millisecond)

	i.upgrade(t, nil)
	i.requireAdmission(t, 7)
}

func TestUninstallLeavesTheSecretsAndNothingElse(t *testing.T) {
	i := install(t, nil)
	require.NoError(t, i.helm.Uninstall(release, wait))
	secrets, err := cluster.Client.CoreV1().Secrets(i.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var names []string
	for _, s := range secrets.Items {
		names = append(names, s.Name)
	}
	assert.Equal(t, []string{"networking-webhook-certs-auto", "registry-webhook-certs-auto", "workload-webhook-certs-auto"}, names)
	client := cluster.Client
	ofRelease := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release}
	validating, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(t.Context(), ofRelease)
	require.NoError(t, err)
	assert.Empty(t, validating.Items)
	roles, err := client.RbacV1().ClusterRoles().List(t.Context(), ofRelease)
	require.NoError(t, err)
	assert.Empty(t, roles.Items)

	_, err = i.helm.Install(t.Context(), release, chartDir, nil, wait)
	require.NoError(t, err)
	i.requireAdmission(t, 7)
	assert.Contains(t, i.certgenLogs(t, "kthena-registry")[0], `"outcome":"reused"`, "the Secret that was left is used again")
}

func (i *installation) upgrade(t *testing.T, values map[string]any) {
	t.Helper()
	_, err := i.helm.Upgrade(t.Context(), release, chartDir, values, wait)
	require.NoError(t, err)
}

// restart does what kubectl rollout restart does, and waits until it is over.
func (i *installation) restart(t *testing.T) {
	t.Helper()
	deployments := cluster.Client.AppsV1().Deployments(i.namespace)
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339Nano))
	for _, name := range all {
		_, err := deployments.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-rollout"})
		require.NoError(t, err)
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		list, err := deployments.List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, d := range list.Items {
			s := d.Status
			assert.True(c, s.ObservedGeneration == d.Generation && s.UpdatedReplicas == *d.Spec.Replicas && s.AvailableReplicas == s.UpdatedReplicas && s.Replicas == s.UpdatedReplicas, "%s: %+v", d.Name, s)
		}
		pods, err := cluster.Client.CoreV1().Pods(i.namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(c, err)
		for _, p := range pods.Items {
			assert.Nil(c, p.DeletionTimestamp, "pod %s is still ending", p.Name)
			assert.Equal(c, corev1.PodRunning, p.Status.Phase)
		}
	}, 2*time.Minute, 100*time.Millisecond)
}
