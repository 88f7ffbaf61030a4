package verify

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// account is the one of helm test's pod.
const account = "kthena-verify"

// withRightsOfHelmTest runs verify with the chart's account for helm test. It has all rights that verify needs but that to
// forward ports, which a pod does not need; the pods here are processes, which are not in the pod network.
func withRightsOfHelmTest(t *testing.T, i *charttest.Installation) {
	kubeconfig := accountConfig(t, i.Namespace)
	r := run(t, kubeconfig, i.Namespace)
	assert.Equal(t, exitFailed, r.code)
	assert.Equal(
		t,
		"kthena-certgen: error: verifying release kthena in namespace "+i.Namespace+
			" was not possible in full: these rights are missing, grant them to whom the kubeconfig or the pod names: create pods/portforward\n",
		r.stderr,
	)

	allowPortForward(t, i.Namespace)
	var begun time.Time
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		begun = time.Now()
		r = run(t, kubeconfig, i.Namespace)
		assert.Equal(c, exitOK, r.code, "%s", r.stderr)
	}, settling(), 50*time.Millisecond)
	requireHealthy(t, r)
	assertReadOnly(t, i.Namespace, begun)
}

// assertReadOnly asserts by the audit log that a run has stored nothing.
func assertReadOnly(t *testing.T, namespace string, since time.Time) {
	t.Helper()
	requests, err := env.Requests("system:serviceaccount:" + namespace + ":" + account)
	require.NoError(t, err)
	requests = slices.DeleteFunc(requests, func(r localcluster.Request) bool { return r.Time.Before(since) })
	require.NotEmpty(t, requests)
	kinds := map[string]bool{}
	for _, r := range requests {
		switch {
		case r.Verb == "get" || r.Verb == "list":
		case r.Verb == "create" && r.Subresource == "portforward":
		case r.Verb == "create":
			kinds[r.Resource] = true
		default:
			assert.Fail(t, "a request that writes", "%s", r)
		}
	}
	t.Logf("%d requests: %v", len(requests), localcluster.Count(requests))
	assert.Equal(
		t, map[string]bool{"modelboosters": true, "autoscalingpolicies": true, "modelservings": true, "modelroutes": true, "modelservers": true},
		kinds,
	)
	for kind := range kinds {
		for _, group := range []string{"workload.serving.volcano.sh", "networking.serving.volcano.sh"} {
			body, err := env.Client.Discovery().RESTClient().Get().AbsPath(
				"/apis", group, "v1alpha1", "namespaces", namespace, kind,
			).Do(t.Context()).Raw()
			if err == nil {
				assert.Contains(t, string(body), `"items":[]`, "nothing is stored: %s", kind)
			}
		}
	}
}

// accountConfig writes a kubeconfig of the account of helm test.
func accountConfig(t *testing.T, namespace string) string {
	t.Helper()
	return kubeconfigFor(t, env.Config.Host, env.Config.CAData, token(t, namespace, account))
}

func token(t *testing.T, namespace, name string) string {
	t.Helper()
	request, err := env.Client.CoreV1().ServiceAccounts(namespace).CreateToken(
		t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	return request.Status.Token
}

func kubeconfigFor(t *testing.T, host string, ca []byte, token string) string {
	t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: host, CertificateAuthorityData: ca}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*file, path))
	return path
}

func allowPortForward(t *testing.T, namespace string) {
	t.Helper()
	rbac := env.Client.RbacV1()
	_, err := rbac.Roles(namespace).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "port-forward"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	bind(t, namespace, rbacv1.RoleRef{Kind: "Role", Name: "port-forward"})
}

func bind(t *testing.T, namespace string, role rbacv1.RoleRef) {
	t.Helper()
	_, err := env.Client.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: role,
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestTrouble(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	require.NoError(t, err)
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for _, c := range []struct {
		name, kubeconfig string
		args             []string
		exit             int
		says             string
	}{
		{
			"an API server that cannot be reached", kubeconfigFor(t, "https://"+closed.Addr().String(), nil, "x"), nil, exitFailed,
			"the API server https://" + closed.Addr().String() + " cannot be reached, check the kubeconfig and whether it runs: ",
		},
		{
			"an API server that does not answer", kubeconfigFor(t, "https://"+silent.Addr().String(), nil, "x"), []string{"--timeout=300ms"},
			exitTimeout, "timed out after 300ms: ",
		},
		{
			"credentials that are not accepted", kubeconfigFor(t, env.Config.Host, env.Config.CAData, "x"), nil, exitFailed,
			"does not accept the credentials of the kubeconfig, renew them",
		},
		{
			"a release that is not there", env.Kubeconfig, nil, exitFailed,
			"nothing to verify: no webhook configuration for namespace default has the label app.kubernetes.io/instance=kthena, and no router " +
				"there serves TLS",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.kubeconfig, "default", c.args...)
			assert.Equal(t, c.exit, r.code)
			assert.Empty(t, r.stdout)
			assert.True(t, strings.HasPrefix(r.stderr, "kthena-certgen: error: verifying release kthena: "), "%s", r.stderr)
			assert.Contains(t, r.stderr, c.says)
			assert.Equal(t, 1, strings.Count(r.stderr, "\n"), "one line: %s", r.stderr)
		})
	}
}

func TestAClockThatDiffers(t *testing.T) {
	i := faulty(t, charttest.Auto, 1)
	// A proxy in front of the API server tells another time, and lets an administrator's requests through.
	transport, err := rest.TransportFor(rest.CopyConfig(http11(env.Config)))
	require.NoError(t, err)
	target, err := url.Parse(env.Config.Host)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(-30*time.Minute).UTC().Format(http.TimeFormat))
			return nil
		},
	}
	server := httptest.NewTLSServer(proxy)
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	r := run(t, kubeconfigFor(t, server.URL, ca, ""), i.Namespace)
	assert.Equal(t, exitOK, r.code, "%s", r.stderr)
	require.Len(t, r.report.Findings, 1, "%s", r.stdout)
	assert.Equal(t, verify.ClockSkew, r.report.Findings[0].Code)
	assert.Equal(t, "this machine", r.report.Findings[0].Object)
	assert.Regexp(t, `^its clock is (29m59s|30m[0-9]s) ahead of the API server's$`, r.report.Findings[0].Message)
	assert.WithinDuration(t, time.Now().Add(-30*time.Minute), r.report.Time, time.Minute, "certificates are judged by the API server's clock")
}

func http11(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.NextProtos = []string{"http/1.1"}
	return cfg
}
