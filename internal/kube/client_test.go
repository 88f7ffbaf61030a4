package kube_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

func newClient(t *testing.T) *kube.Client {
	t.Helper()
	client, err := kube.New(cluster.Config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return client
}

func TestTheClientOfSecretsDoesWhatClientGosDoes(t *testing.T) {
	t.Parallel()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(
		t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kube-"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	ours, theirs := newClient(t).Secrets(ns.Name), cluster.Client.CoreV1().Secrets(ns.Name)

	_, err = ours.Get(t.Context(), "certs", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	made, err := ours.Create(
		t.Context(), &core.Secret{ObjectMeta: metav1.ObjectMeta{Name: "certs"}, Data: map[string][]byte{"a": []byte("1")}},
		metav1.CreateOptions{FieldManager: "us"},
	)
	require.NoError(t, err)
	_, err = ours.Create(t.Context(), &core.Secret{ObjectMeta: metav1.ObjectMeta{Name: "certs"}}, metav1.CreateOptions{})
	require.True(t, apierrors.IsAlreadyExists(err), "%v", err)
	got, err := theirs.Get(t.Context(), "certs", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, encode(t, got), encode(t, made))
	assert.Equal(t, "us", got.ManagedFields[0].Manager)

	stale := made.DeepCopy()
	made.Data["a"] = []byte("2")
	updated, err := ours.Update(t.Context(), made, metav1.UpdateOptions{FieldManager: "us"})
	require.NoError(t, err)
	assert.Equal(t, "2", string(updated.Data["a"]))
	_, err = ours.Update(t.Context(), stale, metav1.UpdateOptions{})
	require.True(t, apierrors.IsConflict(err), "%v", err)

	old := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &stale.UID, ResourceVersion: &stale.ResourceVersion}}
	err = ours.Delete(t.Context(), "certs", old)
	require.True(t, apierrors.IsConflict(err), "the precondition is sent: %v", err)
	require.NoError(t, ours.Delete(t.Context(), "certs", metav1.DeleteOptions{}))
	_, err = theirs.Get(t.Context(), "certs", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
}

func TestTheClientsOfWebhookConfigurationsPatchBundles(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	admission := cluster.Client.AdmissionregistrationV1()
	config := admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "ns", Name: "svc"}}
	_, err := admission.MutatingWebhookConfigurations().Create(t.Context(), &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-client"},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "e.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(
				admissionv1.SideEffectClassNone,
			), ClientConfig: config,
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = admission.ValidatingWebhookConfigurations().Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-client"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "e.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(
				admissionv1.SideEffectClassNone,
			), ClientConfig: config,
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b, err := gen.Generate(gen.Spec{DNSNames: []string{"svc.ns.svc"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
	require.NoError(t, err)
	for _, kind := range []string{webhook.Mutating, webhook.Validating} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			api := client.ConfigurationsOf(kind)
			_, err := api.Get(t.Context(), "missing")
			require.True(t, apierrors.IsNotFound(err), "%v", err)
			before, err := api.Get(t.Context(), "kube-client")
			require.NoError(t, err)
			require.Equal(t, []webhook.Entry{{Name: "e.example.com"}}, before.Entries)
			patch, err := json.Marshal(map[string]any{
				"metadata": map[string]any{"resourceVersion": before.ResourceVersion},
				"webhooks": []any{map[string]any{"name": "e.example.com", "clientConfig": map[string]any{"caBundle": b.CA}}},
			})
			require.NoError(t, err)
			require.NoError(t, api.Patch(t.Context(), "kube-client", patch, "us"))
			after, err := api.Get(t.Context(), "kube-client")
			require.NoError(t, err)
			require.Equal(t, []webhook.Entry{{Name: "e.example.com", CABundle: b.CA}}, after.Entries)
			err = api.Patch(t.Context(), "kube-client", patch, "us")
			require.True(t, apierrors.IsConflict(err), "the resourceVersion is sent: %v", err)
		})
	}
}

// The kubelet replaces the token of a pod in its file.
func TestARepeatedRequestHasTheTokenOfNow(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	var tokens []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.Header.Get("Authorization"))
		if len(tokens) == 1 {
			assert.NoError(t, os.WriteFile(file, []byte("new"), 0o600))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"certs"}}`))
	}))
	defer server.Close()
	for name, bearer := range map[string]string{"by its file alone": "", "as a pod has it": "old"} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
			tokens = nil
			client, err := kube.New(&rest.Config{Host: server.URL, BearerToken: bearer, BearerTokenFile: file}, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			s, err := client.Secrets("ns").Get(t.Context(), "certs", metav1.GetOptions{})
			require.NoError(t, err)
			assert.Equal(t, "certs", s.Name)
			assert.Equal(t, []string{"Bearer old", "Bearer new"}, tokens)
		})
	}
	_, err := kube.New(&rest.Config{Host: server.URL, BearerTokenFile: file + "s"}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "making a client for "+server.URL+": failed to read token file")
}

func TestAConfigOfAServerThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	_, err := kube.New(&rest.Config{Host: "https://a", TLSClientConfig: rest.TLSClientConfig{CAFile: "missing"}}, log)
	require.EqualError(t, err, "making a client for https://a: open missing: no such file or directory")
	_, err = kube.New(&rest.Config{Host: "https://a b"}, log)
	require.ErrorContains(t, err, "making a client for v1 of https://a b: ")
}

// Not parallel: it sets the environment.
func TestConfigFindsTheAPIServer(t *testing.T) {
	path := cluster.Kubeconfig
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(
		t,
		os.WriteFile(
			broken, []byte("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: missing}}]\n"), 0o600,
		),
	)
	home := func(content string) string {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, ".kube"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".kube", "config"), []byte(content), 0o600))
		return dir
	}
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	const nothing = "this is not a pod, neither --kubeconfig nor KUBECONFIG is set, and there is no ~/.kube/config: name a kubeconfig file"
	emptyHome := home("")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, tc := range map[string]struct {
		flag, env, home string
		want            string // an error; empty: the cluster
	}{
		"by the file that is given":            {path, "", "", ""},
		"by that and not by the environment":   {path, "/missing", "", ""},
		"by the environment":                   {"", path, "", ""},
		"by the first file of the environment": {"", path + ":" + broken, "", ""},
		"not by a file that is missing": {
			"/missing", "", "", "--kubeconfig: reading the kubeconfig: stat /missing: no such file or directory",
		},
		"not by one of the environment's": {"", "/missing", "", "KUBECONFIG: /missing: there is no kubeconfig, or it is empty"},
		"not by one that is empty":        {empty, "", "", "--kubeconfig: " + empty + ": there is no kubeconfig, or it is empty"},
		"not by one that leads nowhere": {
			broken, "", "",
			`--kubeconfig: using the kubeconfig: invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER ` +
				`environment variable`,
		},
		"by kubectl's own": {"", "", home(string(content)), ""},
		"not by kubectl's that is empty": {
			"", "", emptyHome, "~/.kube/config: " + emptyHome + "/.kube/config: there is no kubeconfig, or it is empty",
		},
		"not without any": {"", "", t.TempDir(), nothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", tc.env)
			t.Setenv("HOME", tc.home)
			cfg, err := kube.Config(kube.Access{Kubeconfig: tc.flag})
			if tc.want != "" {
				require.EqualError(t, err, tc.want)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, cluster.Config.Host, cfg.Host)
		})
	}
}

// Not parallel: it sets the environment.
func TestWhatRunsInPodsTakesTheirAccountFirst(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(home, ".kube"), 0o700))
	content, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(home, ".kube", "config"), content, 0o600))
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", home)
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	person, err := kube.Config(kube.Access{})
	require.NoError(t, err)
	assert.Equal(t, cluster.Config.Host, person.Host)
	assert.False(t, person.InPod)
	assert.Equal(t, "default", person.Namespace)
	// There is no account here, but it is asked for.
	const token = "reading the pod's service account: open /var/run/secrets/kubernetes.io/serviceaccount/token: "
	_, err = kube.Config(kube.Access{PodFirst: true})
	require.ErrorContains(t, err, token)
	t.Setenv("HOME", t.TempDir())
	_, err = kube.Config(kube.Access{})
	require.ErrorContains(t, err, token)
}
