package charts

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func TestEveryPodPassesPodSecurityRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			for name, pod := range pods(renderOptions(t, c.options)) {
				result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
				assert.True(t, result.Allowed, "%s: %s", name, result.ForbiddenDetail())
			}
		})
	}
}

func TestEveryContainerHasAReadOnlyRootAndRunsAs65532(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, template := range pods(renderOptions(t, c.options)) {
				pod := template.Spec
				require.NotNil(t, pod.SecurityContext.RunAsUser)
				assert.EqualValues(t, 65532, *pod.SecurityContext.RunAsUser)
				assert.EqualValues(t, 65532, *pod.SecurityContext.FSGroup, "the server reads files that the init container has written")
				for _, container := range containers(pod) {
					require.NotNil(t, container.SecurityContext.ReadOnlyRootFilesystem, container.Name)
					assert.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, container.Name)
					assert.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop, container.Name)
				}
			}
		})
	}
}

// pods are those of the Deployments and of `helm test`, by name.
func pods(objects []object) map[string]corev1.PodTemplateSpec {
	byName := map[string]corev1.PodTemplateSpec{}
	for _, d := range all[*appsv1.Deployment](objects) {
		byName[d.Name] = d.Spec.Template
	}
	for _, p := range all[*corev1.Pod](objects) {
		byName[p.Name] = corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
	}
	return byName
}

func TestNoManifestHoldsAPrivateKey(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			rendered, err := helm.Render(umbrella, c.options)
			require.NoError(t, err)
			assert.NotContains(t, rendered.Manifest()+rendered.Notes, "PRIVATE KEY")
			assert.Empty(t, all[*corev1.Secret](decode(t, rendered)), "a release record would hold it too")
		})
	}
}

func TestOnlyManualModeRendersACABundle(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			rendered, err := helm.Render(umbrella, c.options)
			require.NoError(t, err)
			if strings.HasSuffix(c.name, "manual") {
				assert.Equal(t, len(entries(decode(t, rendered))), strings.Count(rendered.Manifest(), "caBundle: "), "one in every entry")
			} else {
				assert.NotContains(t, rendered.Manifest(), "caBundle:", "not even an empty one")
			}
		})
	}
}

// What these functions give differs from render to render, from cluster to cluster, or with and without a cluster.
var impure = regexp.MustCompile(
	`\b(lookup|genCA\w*|genSignedCert\w*|genSelfSignedCert\w*|genPrivateKey|rand\w+|shuffle|uuidv4|now|date\w*|ago|htpasswd|` +
		`bcrypt|derivePassword|encryptAES|getHostByName|env|expandenv)\b`,
)

// comment is a comment of a template.
var comment = regexp.MustCompile(`(?s)\{\{-?\s*/\*.*?\*/\s*-?\}\}`)

func TestTemplatesUseNoFunctionWhoseResultChanges(t *testing.T) {
	action := regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	hook := regexp.MustCompile(`helm\.sh/hook: *(.*)`)
	files := templates(t)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, event := range hook.FindAllStringSubmatch(string(content), -1) {
			assert.Equal(t, "test", event[1], "%s", file)
		}
		for _, code := range action.FindAllString(comment.ReplaceAllString(string(content), ""), -1) {
			assert.NotRegexp(t, impure, code, "%s", file)
		}
	}
}

// templates are the files of all charts' templates.
func templates(t *testing.T) []string {
	t.Helper()
	var files []string
	require.NoError(t, filepath.WalkDir(umbrella, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.Contains([]string{"templates", "tests"}, filepath.Base(filepath.Dir(path))) {
			files = append(files, path)
		}
		return err
	}))
	return files
}

func TestNoWebhookConfigurationIsNamedAsInKthena(t *testing.T) {
	// Kthena's programs put a CA of theirs into these, when they have one.
	theirs := []string{
		"kthena-controller-manager-validating-webhook",
		"kthena-controller-manager-mutating-webhook",
		"kthena-router-validating-webhook",
	}
	objects := render(t, "{}")
	for _, c := range all[*admissionv1.ValidatingWebhookConfiguration](objects) {
		assert.NotContains(t, theirs, c.Name)
	}
	for _, c := range all[*admissionv1.MutatingWebhookConfiguration](objects) {
		assert.NotContains(t, theirs, c.Name)
	}
}
