package charts

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// chartsWithValues are the umbrella and the subcharts; the library has no values.
func chartsWithValues() []string {
	return slices.DeleteFunc(chartFolders(), func(dir string) bool { return dir == library })
}

func TestEveryValueIsExplained(t *testing.T) {
	for _, dir := range chartsWithValues() {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var document yaml.Node
			require.NoError(t, yaml.Unmarshal(read(t, dir, "values.yaml"), &document))
			assertExplained(t, "", document.Content[0])
		})
	}
}

// assertExplained checks that a comment that helm-docs reads stands above every value, or above the map that it is in.
func assertExplained(t *testing.T, path string, node *yaml.Node) {
	t.Helper()
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		switch {
		case strings.HasPrefix(key.HeadComment, "# -- "):
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			assertExplained(t, name, value)
		default:
			assert.Fail(t, "a `# --` comment is missing", "%s in line %d", name, key.Line)
		}
	}
}

// schema is the part of JSON Schema that the charts use and the test reads.
type schema struct {
	Description          string
	Type                 any
	Properties           map[string]schema
	AdditionalProperties any
}

// Where a schema leaves to another schema what an object may hold.
var elsewhere = map[string][]string{
	"kthena":     {"common", "registry", "workload", "networking"},
	"registry":   {"global", "common", "enabled"},
	"workload":   {"global", "common", "enabled"},
	"networking": {"global", "common", "enabled"},
}

func TestSchemaAndValuesNameTheSameKeys(t *testing.T) {
	for _, dir := range chartsWithValues() {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			var values map[string]any
			require.NoError(t, yaml.Unmarshal(read(t, dir, "values.yaml"), &values))
			var s schema
			require.NoError(t, json.Unmarshal(read(t, dir, "values.schema.json"), &s))
			assert.Equal(t, false, s.AdditionalProperties)
			for _, key := range elsewhere[name] {
				require.Contains(t, s.Properties, key)
				delete(values, key)
				delete(s.Properties, key)
			}
			assertSameKeys(t, name, values, s)
		})
	}
}

func assertSameKeys(t *testing.T, path string, values map[string]any, s schema) {
	t.Helper()
	maps.DeleteFunc(s.Properties, func(_ string, p schema) bool { return strings.HasPrefix(p.Description, "Refused by a template") })
	assert.ElementsMatch(t, slices.Collect(maps.Keys(s.Properties)), slices.Collect(maps.Keys(values)), path)
	for key, property := range s.Properties {
		assert.NotEmpty(t, property.Type, "%s.%s may be of any type", path, key)
		nested, _ := values[key].(map[string]any)
		// What a pod may request, and what it is limited to, is Kubernetes' own language.
		if property.Properties == nil || key == "resources" {
			continue
		}
		if path+"."+key == "kthena.global" {
			assert.Nil(t, property.AdditionalProperties, "others have keys there; TestAGlobalKeyThatIsNearlyOneOfTheChartsIsRefused")
		} else {
			assert.Equal(t, false, property.AdditionalProperties, "%s.%s takes unknown keys", path, key)
		}
		assertSameKeys(t, path+"."+key, nested, property)
	}
}

func read(t *testing.T, dir, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	return content
}
