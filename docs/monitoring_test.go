package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chartFile is a file that the chart carries for Prometheus or Grafana.
func chartFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(umbrella, "files", name))
	require.NoError(t, err)
	return string(content)
}

func TestEveryAlertIsExplained(t *testing.T) {
	var inFile []string
	for _, match := range regexp.MustCompile(`alert: (\S+)`).FindAllStringSubmatch(chartFile(t, "alerts.yaml"), -1) {
		inFile = append(inFile, match[1])
	}
	assertSame(t, inFile, firstColumn(t, "monitoring.md", "## Alerts"))
}

func TestEveryMetricThatIsAskedForIsExplained(t *testing.T) {
	explained := firstColumn(t, "monitoring.md", "## Metrics")
	for _, name := range []string{"alerts.yaml", "dashboard.json"} {
		asked := regexp.MustCompile(`kthena_certgen_[a-z_]+`).FindAllString(chartFile(t, name), -1)
		require.NotEmpty(t, asked)
		slices.Sort(asked)
		for _, metric := range slices.Compact(asked) {
			assert.Contains(t, explained, metric, name)
		}
	}
}
