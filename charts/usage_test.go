package charts

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// others are values that differ from the defaults and from those in testdata, by the key's last part.
var others = map[string]any{
	"caBundle":                  "other",
	"additionalOutputFormats":   []any{map[string]any{"type": "DER"}},
	"commonName":                "other",
	"injectorAnnotations":       map[string]any{"other": "annotation"},
	"linkerd.io/inject":         "enabled",
	"serviceAnnotations":        map[string]any{"other": "annotation"},
	"sidecar.istio.io/inject":   "true",
	"subject":                   map[string]any{"organizations": []any{"other"}},
	"usages":                    []any{"server auth"},
	"annotations":               map[string]any{"other": "annotation"},
	"behavior":                  map[string]any{"scaleUp": map[string]any{}},
	"className":                 "other",
	"commonAnnotations":         map[string]any{"other": "annotation"},
	"commonLabels":              map[string]any{"other": "label"},
	"deploymentAnnotations":     map[string]any{"other": "annotation"},
	"drainTimeout":              "7m",
	"envFrom":                   []any{map[string]any{"secretRef": map[string]any{"name": "other"}}},
	"extraEnv":                  []any{map[string]any{"name": "OTHER"}},
	"extraObjects":              []any{map[string]any{"kind": "ConfigMap"}},
	"extraVolumeMounts":         []any{map[string]any{"name": "other", "mountPath": "/other"}},
	"extraVolumes":              []any{map[string]any{"name": "other"}},
	"gracePeriod":               "7s",
	"header":                    "other",
	"hostnames":                 []any{"other.example.com"},
	"hosts":                     []any{"other.example.com"},
	"interval":                  "7s",
	"labels":                    map[string]any{"other": "label"},
	"liveness":                  map[string]any{"periodSeconds": int64(7)},
	"matchConditions":           []any{map[string]any{"name": "other"}},
	"metrics":                   []any{map[string]any{"type": "Pods"}},
	"minAvailable":              int64(2),
	"namespaceSelector":         map[string]any{"matchLabels": map[string]any{"other": "label"}},
	"objectSelector":            map[string]any{"matchLabels": map[string]any{"other": "label"}},
	"parentRefs":                []any{map[string]any{"name": "other"}},
	"podSecurityContext":        map[string]any{"runAsUser": int64(7)},
	"podSpec":                   map[string]any{"hostNetwork": true},
	"readiness":                 map[string]any{"periodSeconds": int64(7)},
	"reinvocationPolicy":        "Never",
	"routerConfiguration":       map[string]any{"other": "setting"},
	"securityContext":           map[string]any{"runAsUser": int64(7)},
	"spec":                      map[string]any{"nodePort": int64(30007)},
	"startup":                   map[string]any{"periodSeconds": int64(7)},
	"tls":                       []any{map[string]any{"secretName": "other"}},
	"affinity":                  map[string]any{"nodeAffinity": map[string]any{}},
	"algorithm":                 "Ed25519",
	"certManagementMode":        "cert-manager",
	"clusterDomain":             "other.example.com",
	"dnsName":                   "other.example.com",
	"duration":                  "17h",
	"grafana_dashboard":         "other",
	"group":                     "other.example.com",
	"kind":                      "ClusterIssuer",
	"name":                      "other",
	"rotationPolicy":            "Always",
	"digest":                    "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
	"extraArgs":                 []any{"--other"},
	"failurePolicy":             "Ignore",
	"format":                    "json",
	"imagePullSecrets":          []any{map[string]any{"name": "other"}},
	"imageRegistry":             "other.example.com",
	"maxUnavailable":            int64(2),
	"nodeSelector":              map[string]any{"other": "label"},
	"output":                    "/other/access.log",
	"podAnnotations":            map[string]any{"other": "annotation"},
	"podLabels":                 map[string]any{"other": "label"},
	"priorityClassName":         "other",
	"pullPolicy":                "Never",
	"renewBefore":               "1h",
	"repository":                "other.example.com/image",
	"retireAfter":               "7m",
	"resources":                 map[string]any{"requests": map[string]any{"cpu": "7"}},
	"secretName":                "other",
	"settle":                    "7m",
	"size":                      int64(4096),
	"tag":                       "other",
	"timeout":                   "7m",
	"timeoutSeconds":            int64(7),
	"tolerations":               []any{map[string]any{"operator": "Exists"}},
	"topologySpreadConstraints": []any{map[string]any{"maxSkew": int64(2)}},
	"type":                      "NodePort",
	"validity":                  "17h",
	"warnWithin":                "7m",
	"windowSize":                "7m",
}

// free are keys whose values are in another's terms: Kubernetes' or Kthena's.
var free = []string{"podSecurityContext", "resources", "routerConfiguration", "securityContext"}

// Every value does something: another one gives another render, or one that a template refuses.
func TestEveryValueChangesTheRender(t *testing.T) {
	bases := slices.DeleteFunc(cases(t), func(c testCase) bool { return !strings.HasPrefix(c.name, "everything") && c.name != "defaults" })
	before := make([]string, len(bases))
	for i, base := range bases {
		rendered, err := helm.Render(umbrella, base.options)
		require.NoError(t, err)
		before[i] = rendered.Manifest()
	}
	for _, path := range leaves(t) {
		if path[len(path)-1] == "requireCRDs" {
			continue // it matters in a cluster alone: TestAClusterWithoutTheCRDsIsRefusedOrWarnedOf
		}
		t.Run(strings.Join(path, "."), func(t *testing.T) {
			t.Parallel()
			var changed bool
			for i, base := range bases {
				if changed {
					break
				}
				o := base.options
				o.Values = runtime.DeepCopyJSON(base.options.Values)
				require.NoError(t, unstructured.SetNestedField(o.Values, other(t, o.Values, path), path...))
				rendered, err := helm.Render(umbrella, o)
				if err != nil {
					require.ErrorContains(t, err, "ERROR: ", "the schema has to allow it")
				}
				changed = rendered.Manifest() != before[i]
			}
			assert.True(t, changed)
		})
	}
}

// other is another value for the key than the one in values, or else the default.
func other(t *testing.T, set map[string]any, path []string) any {
	t.Helper()
	if value, ok := others[path[len(path)-1]]; ok {
		return value
	}
	value, found, err := unstructured.NestedFieldNoCopy(set, path...)
	require.NoError(t, err)
	if !found {
		dir, keys := umbrella, path
		if slices.Contains(subcharts, path[0]) && len(path) > 2 {
			dir, keys = filepath.Join(umbrella, "charts", path[0]), path[1:]
		}
		value, _, err = unstructured.NestedFieldNoCopy(values(t, dir), keys...)
		require.NoError(t, err)
	}
	switch value := value.(type) {
	case bool:
		return !value
	case float64:
		return value + 1
	}
	require.Fail(t, "name another value in `others`", "%v", path)
	return nil
}

// leaves are the paths of all values that a user of the umbrella can set.
func leaves(t *testing.T) [][]string {
	t.Helper()
	var list [][]string
	var walk func(path []string, value any)
	walk = func(path []string, value any) {
		nested, isMap := value.(map[string]any)
		if !isMap || len(nested) == 0 || slices.Contains(free, path[len(path)-1]) {
			list = append(list, path)
			return
		}
		for key, v := range nested {
			walk(slices.Concat(path, []string{key}), v)
		}
	}
	for key, v := range values(t, umbrella) {
		walk([]string{key}, v)
	}
	for _, name := range subcharts {
		for key, v := range values(t, filepath.Join(umbrella, "charts", name)) {
			walk([]string{name, key}, v)
		}
	}
	slices.SortFunc(list, slices.Compare[[]string])
	return list
}

func values(t *testing.T, dir string) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, yaml.Unmarshal(read(t, dir, "values.yaml"), &v))
	return v
}

// A name that is not in the values renders as nothing, without an error.
func TestTemplatesUseOnlyValuesThatExist(t *testing.T) {
	// What defines call `.values`; those of the library are for all components.
	components := map[string]string{"registry": "controllerManager", "workload": "controllerManager", "networking": "kthenaRouter"}
	reference := regexp.MustCompile(`\.(Values|values)((?:\.[a-zA-Z]+)+)|\$([a-zA-Z]+)((?:\.[a-zA-Z]+)+)`)
	alias := regexp.MustCompile(`\$([a-zA-Z]+) := (?:\.ctx|\$)?\.Values\.([a-zA-Z.]+) *-?}}`)
	for _, file := range templates(t) {
		chart := filepath.Base(filepath.Dir(filepath.Dir(file)))
		content := comment.ReplaceAllString(string(read(t, ".", file)), "")
		aliases := map[string][]string{}
		for _, m := range alias.FindAllStringSubmatch(content, -1) {
			aliases[m[1]] = strings.Split(m[2], ".")
		}
		for _, m := range reference.FindAllStringSubmatch(content, -1) {
			path := strings.Split(strings.TrimPrefix(m[2]+m[4], "."), ".")
			switch {
			case m[1] == "Values":
				assertExists(t, file, chart, path)
			case m[1] == "values":
				for name, component := range components {
					// These of the library are for both controller-managers.
					managers := strings.HasPrefix(filepath.Base(file), "_controllermanager")
					if chart == name || chart == "common" && !(managers && name == "networking") {
						assertExists(t, file, name, slices.Concat([]string{component}, path))
					}
				}
			case aliases[m[3]] != nil:
				assertExists(t, file, chart, slices.Concat(aliases[m[3]], path))
			}
		}
	}
}

// assertExists checks that a template of the chart finds the path in its values: its own, the umbrella's global ones, and
// in the umbrella's templates those of the subcharts.
func assertExists(t *testing.T, file, chart string, path []string) {
	t.Helper()
	dir := umbrella
	switch {
	case path[0] == "global":
	case chart == umbrella && slices.Contains(subcharts, path[0]) && path[1] != "enabled":
		dir, path = filepath.Join(umbrella, "charts", path[0]), path[1:]
	case slices.Contains(subcharts, chart):
		dir = filepath.Join(umbrella, "charts", chart)
	}
	_, found, err := unstructured.NestedFieldNoCopy(values(t, dir), path...)
	require.NoError(t, err)
	assert.True(t, found, "%s: %s", file, strings.Join(path, "."))
}
