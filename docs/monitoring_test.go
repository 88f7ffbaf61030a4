package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// rules are the alerting rules of the ready file, as a rule file of Prometheus.
func rules(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile("monitoring/prometheus-rule.yaml")
	require.NoError(t, err)
	var object struct{ Spec any }
	require.NoError(t, yaml.Unmarshal(content, &object))
	require.NotNil(t, object.Spec)
	file, err := yaml.Marshal(object.Spec)
	require.NoError(t, err)
	return file
}

func TestPrometheusTakesTheRules(t *testing.T) {
	check := func(file []byte) error {
		cmd := exec.CommandContext(t.Context(), "go", "run", ".")
		cmd.Dir = filepath.Join(root, "hack", "rulecheck")
		cmd.Stdin = bytes.NewReader(file)
		output, err := cmd.CombinedOutput()
		t.Logf("%s", output)
		return err
	}
	assert.NoError(t, check(rules(t)))
	assert.Error(t, check(bytes.Replace(rules(t), []byte("time()"), []byte("time("), 1)), "a rule that is none is refused")
}

func TestEveryAlertIsExplained(t *testing.T) {
	var inFile []string
	for _, match := range regexp.MustCompile(`alert: (\S+)`).FindAllStringSubmatch(string(rules(t)), -1) {
		inFile = append(inFile, match[1])
	}
	assertSame(t, inFile, firstColumn(t, "monitoring.md", "## Alerts"))
}

// The files that are applied as they are name an image, which a new version of the chart has to change.
func TestTheReadyFilesRunTheVersionOfTheChart(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(umbrella, "Chart.yaml"))
	require.NoError(t, err)
	var chart struct{ Version string }
	require.NoError(t, yaml.Unmarshal(content, &chart))
	manifest, err := os.ReadFile("monitoring/verify-cronjob.yaml")
	require.NoError(t, err)
	images := regexp.MustCompile(`image: (\S+)`).FindAllStringSubmatch(string(manifest), -1)
	require.NotEmpty(t, images)
	for _, image := range images {
		assert.True(t, strings.HasSuffix(image[1], "/kthena-certgen:v"+chart.Version), image[1])
	}
}
