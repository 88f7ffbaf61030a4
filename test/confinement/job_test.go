package confinement

import (
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// arguments are those of kthena-certgen for the registry's certificate, as its init container has them, and the registry's token.
func (s *stage) arguments(t testing.TB) []string {
	t.Helper()
	return []string{
		"bootstrap", "--kubeconfig", kubeconfig(t, as(t, s.Namespace, registry)), "--namespace", s.Namespace, "--secret-name", registrySecret,
		"--dns-name", "registry-webhook." + s.Namespace + ".svc", "--dns-name", "registry-webhook." + s.Namespace + ".svc.cluster.local",
		"--mutating-webhook-configuration", mutating, "--validating-webhook-configuration", validating, "--output-dir", t.TempDir(),
		"--label", "app.kubernetes.io/part-of=kthena", "--label", "app.kubernetes.io/component=" + registry,
		"--label", common + "=yes", "--annotation", common + "=yes", "--timeout", "60s",
	}
}

// bootstrap runs kthena-certgen as the registry's init container does, and returns the reason that it gives.
func (s *stage) bootstrap(t testing.TB, more ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), env.Program("kthena-certgen"), append(s.arguments(t), more...)...).Output()
	require.NoError(t, err, "%s", stderr(err))
	var line struct{ Reason string }
	require.NoError(t, json.Unmarshal(out, &line))
	return line.Reason
}

func stderr(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}

func kubeconfig(t testing.TB, config *rest.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, path))
	return path
}

func TestTheJobIsDoneUnderThePolicies(t *testing.T) {
	s := newStage(t)
	secrets := env.Client.CoreV1().Secrets(s.Namespace)
	// store puts in another Secret under the name of the registry's, as somebody may have.
	store := func(t *testing.T, change func(o *corev1.Secret)) {
		o, err := secrets.Get(t.Context(), registrySecret, metav1.GetOptions{})
		require.NoError(t, err)
		require.NoError(t, secrets.Delete(t.Context(), registrySecret, metav1.DeleteOptions{}))
		o.ResourceVersion, o.UID = "", ""
		change(o)
		_, err = secrets.Create(t.Context(), o, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	t.Run("bootstrap does", func(t *testing.T) {
		for _, c := range []struct {
			reason string
			change func(t *testing.T)
			more   []string
		}{
			{"reused", func(*testing.T) {}, nil},
			{"created", func(t *testing.T) {
				require.NoError(t, secrets.Delete(t.Context(), registrySecret, metav1.DeleteOptions{}))
			}, nil},
			{"renewed:forced", func(*testing.T) {}, []string{"--force-renew"}},
			{"renewed:expiring", func(*testing.T) {}, []string{"--validity=200000h", "--renew-before=100000h"}},
			{"repaired:keys", func(t *testing.T) { store(t, func(o *corev1.Secret) { o.Data["other"] = []byte("x") }) }, nil},
			{"repaired:malformed", func(t *testing.T) { store(t, func(o *corev1.Secret) { o.Data["ca.crt"] = []byte("x") }) }, nil},
			{"repaired:malformed", func(t *testing.T) {
				store(t, func(o *corev1.Secret) { o.Data["ca.crt"], o.Immutable = []byte("x"), ptr.To(true) })
			}, nil},
			{"repaired:wrong-type", func(t *testing.T) { store(t, func(o *corev1.Secret) { o.Type = corev1.SecretTypeOpaque }) }, nil},
			{"renewed:forced", func(t *testing.T) {
				store(t, func(o *corev1.Secret) {
					o.Labels[somebodys], o.Annotations[somebodys], o.Finalizers = "yes", "yes", []string{"example.com/keep"}
				})
			}, []string{"--force-renew"}},
		} {
			c.change(t)
			assert.Equal(t, c.reason, s.bootstrap(t, c.more...))
		}
		kept, err := secrets.Get(t.Context(), registrySecret, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, "yes", kept.Labels[somebodys])
		assert.Equal(t, "yes", kept.Annotations[somebodys])
		assert.Equal(t, []string{"example.com/keep"}, kept.Finalizers)
		assert.Equal(t, "yes", kept.Labels[common])
		assert.Equal(t, "yes", kept.Annotations[common])
		free := []byte(`{"metadata":{"finalizers":null}}`)
		_, err = secrets.Patch(t.Context(), registrySecret, types.MergePatchType, free, metav1.PatchOptions{})
		require.NoError(t, err)
		s.RequireAdmission(t, 7)
	})
	t.Run("accounts do", func(t *testing.T) {
		for _, a := range jobs() {
			_, err := a.request(t, s).do(t, client(s.accounts[a.account]), false)
			assert.NoError(t, err, a.name)
		}
	})
}

// jobs are what the controller does, and what Kthena's own program tells about, in an order in which each can be done.
func jobs() []attack {
	at := func(path string, e edit, m method) func(testing.TB, *stage) request {
		return func(t testing.TB, s *stage) request {
			before := s.get(t, path)
			after := decode(t, encode(t, before))
			e.do(after)
			return m.request(t, path, before, after)
		}
	}
	bundles := edit{do: func(o map[string]any) {
		for _, w := range o["webhooks"].([]any) {
			in(w.(map[string]any), "clientConfig")["caBundle"] = someCA
		}
	}}
	certificate := func(value string) edit {
		return edit{do: func(o map[string]any) {
			in(o, "spec", "template", "metadata", "annotations")[certificateAnnotation] = value
		}}
	}
	retired := edit{do: func(o map[string]any) {
		in(o, "metadata", "annotations")["certgen.kthena.volcano.sh/retired"] = "sha256:0"
	}}
	list := []attack{
		{name: "change the bundles of a configuration", account: controller,
			request: at(configuration(validatingNetworking), bundles, byStrategicPatch)},
		{name: "put bundles in that are not there", account: controller, request: func(t testing.TB, s *stage) request {
			path := configuration(mutating)
			before := s.get(t, path)
			empty := decode(t, encode(t, before))
			for _, w := range empty["webhooks"].([]any) {
				delete(in(w.(map[string]any), "clientConfig"), "caBundle")
			}
			require.NoError(t, s.admin.Put().AbsPath(path).Body(encode(t, empty)).Do(t.Context()).Error())
			return at(path, bundles, byStrategicPatch)(t, s)
		}},
	}
	list = append(list, attack{name: "change the bundles of a configuration that many have written", account: registry,
		request: func(t testing.TB, s *stage) request {
			s.crowd(t, configuration(validating))
			return at(configuration(validating), bundles, byStrategicPatch)(t, s)
		}})
	for _, m := range []method{byStrategicPatch, byMergePatch} {
		list = append(list, attack{name: "roll the pods, by " + m.name, account: controller, request: func(t testing.TB, s *stage) request {
			return at(s.deployments()+"/"+registry, certificate(m.name), m)(t, s)
		}})
	}
	for _, c := range []struct{ account, apiVersion, kind, name string }{
		{controller, "v1", "Secret", registrySecret}, {controller, "v1", "Secret", "registry-webhook-certs"},
		{controller, "apps/v1", "Deployment", router}, {router, "v1", "Secret", routerSecret},
		{registry, "v1", "Secret", registrySecret}, {registry, "v1", "Pod", "p"}, {registry, "apps/v1", "ControllerRevision", "c"},
		{registry, "coordination.k8s.io/v1", "Lease", "lease.kthena.controller-manager"},
		{workload, "workload.serving.volcano.sh/v1alpha1", "ModelServing", "m"},
		{workload, "workload.serving.volcano.sh/v1alpha1", "ModelBooster", "m"},
		{workload, "workload.serving.volcano.sh/v1alpha1", "AutoscalingPolicy", "m"},
		{registry, "networking.serving.volcano.sh/v1alpha1", "ModelRoute", "m"},
		{registry, "networking.serving.volcano.sh/v1alpha1", "ModelServer", "m"}, {registry, "v1", "Service", "s"},
		{workload, "scheduling.volcano.sh/v1beta1", "PodGroup", "p"}, {workload, "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "l"},
	} {
		a := attack{name: "tell about " + c.kind + " " + c.name, account: c.account}
		a.request = func(t testing.TB, s *stage) request {
			o := event(s.Namespace, about(c.apiVersion, c.kind, s.Namespace, c.name))
			delete(metadata(o), "name")
			metadata(o)["generateName"] = "job-"
			return request{verb: http.MethodPost, path: "/api/v1/namespaces/" + s.Namespace + "/events", body: encode(t, o)}
		}
		list = append(list, a)
	}
	service := map[string]any{"metadata": map[string]any{"name": "job"}, "spec": map[string]any{"clusterIP": "None"}}
	return append(list,
		attack{name: "create a Service for a model", account: registry, request: func(t testing.TB, s *stage) request {
			return request{verb: http.MethodPost, path: s.services(), body: encode(t, service)}
		}},
		attack{name: "delete a Service of a model", account: registry, request: func(_ testing.TB, s *stage) request {
			return request{verb: http.MethodDelete, path: s.services() + "/job"}
		}},
		attack{name: "write into a Secret which CAs have left", account: controller, request: func(t testing.TB, s *stage) request {
			return at(s.secrets()+"/"+registrySecret, retired, byPut)(t, s)
		}},
		attack{name: "delete a Secret of ours", account: controller, request: func(_ testing.TB, s *stage) request {
			return request{verb: http.MethodDelete, path: s.secrets() + "/" + registrySecret}
		}},
		attack{name: "create a Secret of ours", account: controller, request: func(t testing.TB, s *stage) request {
			return request{verb: http.MethodPost, path: s.secrets(), body: encode(t, tlsSecret(s.Namespace, registrySecret))}
		}},
	)
}
