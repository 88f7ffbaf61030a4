package docs

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
)

const (
	umbrella    = "../charts/kthena"
	kubeVersion = "v1.37.2"

	// placeholderCA stands for a CA bundle in the manual.
	placeholderCA = "BASE64-OF-YOUR-CA"
)

// components are where the values of the components are; the manual writes <component> where any of them may stand.
var components = []string{"registry.controllerManager", "workload.controllerManager", "networking.kthenaRouter"}

// valueKey matches what the manual can only mean as a key of the chart's values.
var valueKey = regexp.MustCompile(`(?:^|[\s"'=,(])((?:global|registry|workload|networking|<component>)(?:\.[A-Za-z]+)+)`)

// Marks of YAML blocks. A block without one is a fragment, which is only parsed.
const (
	markValues   = "values"   // values of the chart: they are rendered
	markManifest = "manifest" // objects
)

func TestEveryValueThatIsNamedExists(t *testing.T) {
	known := valueKeys(t)
	for _, page := range manual(t) {
		parts := slices.Clone(page.Code)
		for _, block := range page.Blocks {
			parts = append(parts, block.Part)
		}
		for _, part := range parts {
			for _, match := range valueKey.FindAllStringSubmatch(part.Text, -1) {
				for _, key := range expand(match[1]) {
					assert.Contains(t, known, key, page.Position(part))
				}
			}
		}
	}
}

// expand writes out <component>.
func expand(key string) []string {
	rest, ok := strings.CutPrefix(key, "<component>")
	if !ok {
		return []string{key}
	}
	var keys []string
	for _, component := range components {
		keys = append(keys, component+rest)
	}
	return keys
}

// valueKeys are the keys of all values, and of the maps that they are in.
func valueKeys(t *testing.T) []string {
	t.Helper()
	known := map[string]bool{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		known[path] = true
		nested, _ := value.(map[string]any)
		for key, v := range nested {
			walk(strings.TrimPrefix(path+"."+key, "."), v)
		}
	}
	for path, dir := range map[string]string{
		"": umbrella, "registry": umbrella + "/charts/registry", "workload": umbrella + "/charts/workload",
		"networking": umbrella + "/charts/networking",
	} {
		content, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
		require.NoError(t, err)
		var values map[string]any
		require.NoError(t, yaml.Unmarshal(content, &values))
		walk(path, values)
	}
	return slices.Sorted(maps.Keys(known))
}

func TestEveryYAMLBlockIsWhatItsMarkSays(t *testing.T) {
	for _, page := range manual(t) {
		for _, block := range page.Blocks {
			if block.Language != "yaml" {
				continue
			}
			t.Run(page.Position(block.Part), func(t *testing.T) {
				switch block.Mark {
				case markValues:
					requireRenders(t, block.Text)
				case markManifest:
					requireObjects(t, page, []byte(block.Text))
				case "":
					requireParses(t, block.Text)
				default:
					require.Fail(t, "the mark is unknown", block.Mark)
				}
			})
		}
	}
}

func TestEveryReadyFileIsValid(t *testing.T) {
	files, err := filepath.Glob("*/*.yaml")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, ".values.yaml") {
				requireParses(t, string(content))
				return
			}
			requireObjects(t, markdown.Page{Path: file}, content)
		})
	}
}

func requireParses(t *testing.T, text string) {
	t.Helper()
	var value any
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &value))
	require.NotEmpty(t, value)
}

// withCA puts a CA bundle where the manual has the placeholder.
func withCA(t *testing.T, text string) string {
	t.Helper()
	spec := gen.Spec{DNSNames: []string{"example.com"}, Validity: gen.DefaultValidity, Key: gen.KeySpec{Algorithm: gen.ECDSA}}
	bundle, err := gen.Generate(spec, time.Now())
	require.NoError(t, err)
	return strings.ReplaceAll(text, placeholderCA, base64.StdEncoding.EncodeToString(bundle.CA))
}

// requireRenders requires that the chart takes the values.
func requireRenders(t *testing.T, text string) {
	t.Helper()
	o := helm.RenderOptions{Release: "kthena", Namespace: "kthena-system", KubeVersion: kubeVersion}
	require.NoError(t, yaml.UnmarshalStrict([]byte(withCA(t, text)), &o.Values))
	require.NotEmpty(t, o.Values)
	rendered, err := helm.Render(umbrella, o)
	require.NoError(t, err)
	require.NotEmpty(t, rendered.Documents)
}

// requireObjects requires that the text is a stream of objects, without unknown fields where Kubernetes' own API has their kind,
// and that values for the chart in them are right.
func requireObjects(t *testing.T, page markdown.Page, content []byte) {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		text, err := yaml.YAMLToJSONStrict(document)
		require.NoError(t, err, page.Path)
		var object unstructured.Unstructured
		require.NoError(t, object.UnmarshalJSON(text), page.Path)
		require.NotEmpty(t, object.GetName())
		if scheme.Scheme.Recognizes(object.GroupVersionKind()) {
			_, _, err := decoder.Decode(document, nil, nil)
			require.NoError(t, err)
		}
		for _, path := range [][]string{
			{"spec", "source", "helm", "valuesObject"}, // of an Argo CD Application
			{"spec", "values"},                         // of a Flux HelmRelease
		} {
			values, found, err := unstructured.NestedMap(object.Object, path...)
			require.NoError(t, err)
			if found {
				text, err := yaml.Marshal(values)
				require.NoError(t, err)
				requireRenders(t, string(text))
			}
		}
	}
}
