package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// hooks is a template with an entry for each of the value entries and no CA bundle, as the chart's in auto mode.
const hooks = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: {{ .Release.Namespace }}-validating
webhooks:
{{- range .Values.entries }}
  - name: {{ . }}.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    clientConfig:
      service: {namespace: {{ $.Release.Namespace }}, name: webhook}
    rules:
      - {operations: [CREATE], apiGroups: [example.com], apiVersions: [v1], resources: [nobodies]}
{{- end }}
`

func TestHelmChangesTheEntriesOfABootstrappedConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createMutating(t)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "templates"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte("apiVersion: v2\nname: hooks\nversion: 1.0.0\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "templates", "hooks.yaml"), []byte(hooks), 0o600))
	client, err := helm.New(cluster.Kubeconfig, s.namespace)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Uninstall("hooks", helm.ReleaseOptions{})) })
	values := func(entries ...any) map[string]any { return map[string]any{"entries": entries} }

	_, err = client.Install(t.Context(), "hooks", dir, values("a", "b"), helm.ReleaseOptions{})
	require.NoError(t, err)
	first := s.bootstrap(t.Context(), t)
	first.requireDone(t, "created")
	for _, step := range []struct {
		name    string
		entries []any
		patched bool // by the next bootstrap
	}{
		{"that stay", []any{"a", "b"}, false},
		{"that are in another order", []any{"b", "a"}, false},
		{"one of which is new", []any{"a", "b", "c"}, true},
		{"one of which is gone", []any{"b", "c"}, false},
		{"one of which is new and one gone", []any{"c", "d"}, true},
		{"all of which are others", []any{"e"}, true},
	} {
		ok := t.Run("to entries "+step.name, func(t *testing.T) {
			_, err := client.Upgrade(t.Context(), "hooks", dir, values(step.entries...), helm.ReleaseOptions{})
			require.NoError(t, err)
			o := s.bootstrap(t.Context(), t)
			o.requireDone(t, "reused")
			assert.Equal(t, step.patched, o.WebhookConfigurations[1].Patched)
			config, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(
				t.Context(), s.validating, metav1.GetOptions{},
			)
			require.NoError(t, err)
			require.Len(t, config.Webhooks, len(step.entries), "no stump of an entry is left")
			for i, w := range config.Webhooks {
				assert.Equal(t, step.entries[i].(string)+".example.com", w.Name)
				live, _ := gen.ParseCertificates(w.ClientConfig.CABundle)
				require.Len(t, live, 1)
				assert.Equal(t, first.CAFingerprint, gen.Fingerprint(live[0]))
			}
		})
		if !ok {
			return
		}
	}
}
