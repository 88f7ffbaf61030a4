package docs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// objectName matches what the manual can only mean as the name of an object of the chart, or of a Secret that it mounts or makes.
var objectName = regexp.MustCompile(
	`^((<subchart>|registry|workload|networking)-(webhook|router)(-[a-z-]+)?|kthena-(registry|workload|networking|router)(-[a-z-]+)?)$`,
)

func TestEveryObjectThatIsNamedExists(t *testing.T) {
	known := objectNames(t)
	for _, page := range manual(t) {
		if page.Path == "docs/moving-from-kthena.md" {
			continue // it names the objects of Kthena's own chart
		}
		for _, code := range page.Code {
			if !objectName.MatchString(code.Text) {
				continue
			}
			names := []string{code.Text}
			if strings.HasPrefix(code.Text, "<subchart>") {
				names = nil
				for _, subchart := range []string{"registry", "workload", "networking"} {
					names = append(names, strings.Replace(code.Text, "<subchart>", subchart, 1))
				}
			}
			for _, name := range names {
				assert.Contains(t, known, name, page.Position(code))
			}
		}
	}
}

// objectNames are the names of what the chart renders in its three modes, and of the Secrets in it.
func objectNames(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	for _, values := range []string{
		"{}",
		"{global: {certManagementMode: cert-manager}}",
		"{global: {certManagementMode: manual, webhook: {caBundle: " + placeholderCA + "}}}",
	} {
		o := helm.RenderOptions{Release: "kthena", Namespace: "kthena-system", KubeVersion: kubeVersion}
		require.NoError(t, yaml.Unmarshal([]byte(withCA(t, values)), &o.Values))
		require.NoError(t, unstructured.SetNestedField(o.Values, true, "networking", "kthenaRouter", "tls", "enabled"))
		rendered, err := helm.Render(umbrella, o)
		require.NoError(t, err)
		for _, document := range rendered.Documents {
			for _, match := range regexp.MustCompile(
				`(?m)^\s*(?:- )?(?:name|secretName): "?([^"\s]+)"?$|--secret-name=(\S+)`,
			).FindAllStringSubmatch(document.YAML, -1) {
				names[match[1]+match[2]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
