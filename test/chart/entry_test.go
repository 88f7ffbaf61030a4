package chart

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// A later chart may drop an entry and bring another. kthena-certgen has written to the old one, and must not keep it alive.
func TestAnEntryThatAnUpgradeDropsLeavesNoRest(t *testing.T) {
	const (
		dropped = "validate-autoscalingpolicy.workload.serving.volcano.sh"
		added   = "validate-scaling.workload.serving.volcano.sh"
	)
	values := only("registry")
	i := env.Install(t, values)
	bundles := func() map[string]string {
		all := map[string]string{}
		for _, target := range i.Targets(t) {
			all[target.Entry] = string(target.CABundle)
		}
		return all
	}
	before := bundles()
	require.NotEmpty(t, before[dropped])

	later := filepath.Join(t.TempDir(), "kthena")
	require.NoError(t, os.CopyFS(later, os.DirFS(env.Chart())))
	path := filepath.Join(later, "charts", "registry", "templates", "_webhooks.tpl")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(text, []byte(dropped)))
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte(dropped), []byte(added), 1), 0o600))

	_, err = i.Helm.Upgrade(t.Context(), charttest.Release, later, values, charttest.Wait)
	require.NoError(t, err)
	i.RequireAdmission(t, len(before))
	after := bundles()
	assert.NotContains(t, after, dropped)
	assert.Equal(t, before[dropped], after[added], "the new entry has the CA of its component")

	i.Rollback(t, 0)
	i.RequireAdmission(t, len(before))
	assert.Equal(t, before, bundles())
}

// A later chart may add an entry to a configuration. Nothing else in the pods changes then, but they are what gives the
// entry its CA.
func TestAnEntryThatAnUpgradeAddsGetsItsCA(t *testing.T) {
	values := only("workload")
	i := env.Install(t, values)
	require.Len(t, i.Targets(t), 1)

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

	_, err = i.Helm.Upgrade(t.Context(), charttest.Release, later, values, charttest.Wait)
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		targets := i.Targets(t)
		require.Len(c, targets, 2)
		for _, target := range targets {
			assert.NotEmpty(c, target.CABundle, "of %s", target.Entry)
			assert.NoError(c, target.Send(t.Context(), true))
		}
	}, 10*time.Second, 50*time.Millisecond)

	i.Upgrade(t, values)
	i.RequireAdmission(t, 1)
}
