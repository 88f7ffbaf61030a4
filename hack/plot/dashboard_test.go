package main

import (
	"encoding/json"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

func TestThePictureIsOfTheCommittedRecordingAndDashboard(t *testing.T) {
	t.Parallel()
	absolute, err := filepath.Abs(root)
	require.NoError(t, err)
	drawn, err := drawDashboard(t.Context(), absolute)
	require.NoError(t, err)
	picture, err := os.ReadFile(filepath.Join(root, pictures["dashboard"].file))
	require.NoError(t, err)
	assert.Equal(t, string(picture), string(drawn), "make dashboard-picture writes it")
	var d dashboard
	require.NoError(t, read(filepath.Join(root, dashboardFile), &d))
	require.NotEmpty(t, d.Panels)
	for _, p := range d.Panels {
		assert.Contains(t, string(picture), strings.ReplaceAll(p.Title, "'", "&#39;"))
	}
}

func TestAQueryWithoutDataIsNamed(t *testing.T) {
	t.Parallel()
	absolute, err := filepath.Abs(root)
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(root, dashboardFile))
	require.NoError(t, err)
	for name, c := range map[string]struct{ before, after, want string }{
		"a metric that nobody has": {"sum(kthena_certgen_stale_pods", "sum(kthena_certgen_old_pods",
			`panel "Pods that serve another certificate than the Secret's", query A: it gives no data`},
		"a query that is none": {"sum(kthena_certgen_stale_pods{", "sum(kthena_certgen_stale_pods{{", "unexpected"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(data), c.before)
			file := filepath.Join(t.TempDir(), "dashboard.json")
			require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(data), c.before, c.after, 1)), 0o600))
			_, err := ask(t.Context(), absolute, file)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestValuesHaveTheirUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "s", "0 s"}, {59.94, "s", "59.9 s"}, {90, "s", "1.5 mins"}, {7200, "s", "2 hours"}, {259200, "s", "3 days"},
		{1209600, "s", "2 weeks"}, {315360000, "s", "9.99 years"}, {1, "percentunit", "100%"}, {0.5, "percentunit", "50%"}, {3, "short", "3"},
	} {
		assert.Equal(t, c.want, withUnit(c.value, c.unit))
	}
}

func TestAValueHasTheColourOfItsThreshold(t *testing.T) {
	t.Parallel()
	var p panel
	shade, err := p.shade(1)
	require.NoError(t, err)
	assert.Equal(t, color.Color(ink), shade, "there is none")
	const steps = `{"fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "red", "value": null}, {"color": "green", "value": 1}]}}}}`
	require.NoError(t, json.Unmarshal([]byte(steps), &p))
	for value, want := range map[float64]string{0: "red", 0.9: "red", 1: "green", 2: "green"} {
		shade, err := p.shade(value)
		require.NoError(t, err)
		assert.Equal(t, color.Color(named[want]), shade)
	}
	p.FieldConfig.Defaults.Thresholds.Steps[1].Color = "blue"
	_, err = p.shade(2)
	assert.ErrorContains(t, err, `"blue" is unknown`)
}

func TestALineEndsWhereAScrapeLacksIt(t *testing.T) {
	t.Parallel()
	parts := unbroken([][2]float64{{0, 1}, {5, 1}, {15, 1}}, 5)
	require.Len(t, parts, 2)
	assert.Len(t, parts[0], 2)
	assert.Len(t, parts[1], 1)
}
