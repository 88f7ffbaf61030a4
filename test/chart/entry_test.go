package chart

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
)

// A later chart may drop an entry and bring another. kthena-certgen has written to the old one, and must not keep it alive.
func TestAnEntryThatAnUpgradeDropsLeavesNoRest(t *testing.T) {
	const (
		dropped = "validate-autoscalingpolicy.workload.serving.volcano.sh"
		added   = "validate-scaling.workload.serving.volcano.sh"
	)
	i := env.Install(t, nil)
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

	_, err = i.Helm.Upgrade(t.Context(), charttest.Release, later, nil, charttest.Wait)
	require.NoError(t, err)
	i.RequireAdmission(t, charttest.Entries)
	after := bundles()
	assert.NotContains(t, after, dropped)
	assert.Equal(t, before[dropped], after[added], "the new entry has the CA of its component")

	i.Rollback(t, 0)
	i.RequireAdmission(t, charttest.Entries)
	assert.Equal(t, before, bundles())
}
