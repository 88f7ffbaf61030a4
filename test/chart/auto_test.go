package chart

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
	"github.com/volcano-sh/kthena-certgen/internal/probe"
)

func TestAFreshInstallIsReadyWithoutARestart(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("with %d replicas", n), func(t *testing.T) {
			i := env.Install(t, charttest.Replicas(n))
			require.Equal(t, charttest.Deployments, slices.Sorted(maps.Keys(i.Pods(t))))
			i.RequireNoRestarts(t)
			i.RequireAdmission(t, 7)
			for _, component := range charttest.Deployments {
				logs := i.CertgenLogs(t, component)
				require.Len(t, logs, n)
				outcomes := map[string]int{}
				fingerprints := map[string]bool{}
				for _, log := range logs {
					line := lastLine(t, log)
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
			i := env.Install(t, tc.values)
			require.Equal(t, []string{tc.component}, slices.Sorted(maps.Keys(i.Pods(t))))
			i.RequireAdmission(t, tc.entries)
		})
	}
}

func TestNoAdmissionRequestFailsDuring(t *testing.T) {
	i := env.Install(t, charttest.Replicas(3))
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"an upgrade that changes nothing", func(t *testing.T) { i.Upgrade(t, charttest.Replicas(3)) }},
		{"a rolling restart of everything", i.Restart},
		{"an upgrade to two replicas", func(t *testing.T) { i.Upgrade(t, charttest.Replicas(2)) }},
		{"a rollback", func(t *testing.T) { i.Rollback(t, 1) }},
		{"the loss of every Secret and a rolling restart", func(t *testing.T) {
			secrets := env.Client.CoreV1().Secrets(i.Namespace)
			require.NoError(t, secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=kthena-certgen"}))
			i.Restart(t)
		}},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			p := probe.Start(t.Context(), i.Targets(t), 40)
			step.do(t)
			charttest.AssertNoneFailed(t, p.Stop())
		})
		if !ok {
			return
		}
	}
	i.RequireNoRestarts(t)
	i.RequireAdmission(t, 7)
}

// A later chart may add an entry to a configuration. Nothing else in the pods changes then, but they are what gives the
// entry its CA.
func TestAnEntryThatAnUpgradeAddsGetsItsCA(t *testing.T) {
	i := env.Install(t, nil)
	i.RequireAdmission(t, 7)

	later := filepath.Join(t.TempDir(), "kthena")
	require.NoError(t, os.CopyFS(later, os.DirFS(env.Chart())))
	path := filepath.Join(later, "charts", "workload", "templates", "_webhooks.tpl")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, after, found := strings.Cut(string(text), "- name: validate-")
	require.True(t, found)
	entry, _, found := strings.Cut(after, "{{- end }}")
	require.True(t, found)
	both := entry + "- name: validate-again-" + entry
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte(entry), []byte(both), 1), 0o600))

	_, err = i.Helm.Upgrade(t.Context(), charttest.Release, later, nil, charttest.Wait)
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets := i.Targets(t)
		require.Len(c, targets, 8)
		for _, target := range targets {
			assert.NotEmpty(c, target.CABundle, "of %s", target.Entry)
			assert.NoError(c, target.Send(t.Context(), true))
		}
	}, 10*time.Second, 50*time.Millisecond)

	i.Upgrade(t, nil)
	i.RequireAdmission(t, 7)
}

func TestUninstallLeavesTheSecretsAndNothingElse(t *testing.T) {
	i := env.Install(t, nil)
	require.NoError(t, i.Helm.Uninstall(charttest.Release, charttest.Wait))
	secrets, err := env.Client.CoreV1().Secrets(i.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var names []string
	for _, s := range secrets.Items {
		names = append(names, s.Name)
	}
	assert.Equal(t, []string{"networking-webhook-certs-auto", "registry-webhook-certs-auto", "workload-webhook-certs-auto"}, names)
	client := env.Client
	ofRelease := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + charttest.Release}
	validating, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(t.Context(), ofRelease)
	require.NoError(t, err)
	assert.Empty(t, validating.Items)
	roles, err := client.RbacV1().ClusterRoles().List(t.Context(), ofRelease)
	require.NoError(t, err)
	assert.Empty(t, roles.Items)

	_, err = i.Helm.Install(t.Context(), charttest.Release, env.Chart(), nil, charttest.Wait)
	require.NoError(t, err)
	i.RequireAdmission(t, 7)
	assert.Contains(t, i.CertgenLogs(t, "kthena-registry")[0], `"outcome":"reused"`, "the Secret that was left is used again")
}
