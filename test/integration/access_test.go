package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// program runs the program with nothing but these in its environment.
func program(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, certgen(t), args...)
	cmd.Env = env
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if cmd.Run(); !assert.NotNil(t, cmd.ProcessState) {
		return -1, "", ""
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// writeConfig writes a kubeconfig of the cluster's administrator, changed by edit before, as ~/.kube/config of a new home.
func writeConfig(t *testing.T, edit func(c *api.Config)) (home string) {
	t.Helper()
	c, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	require.NoError(t, err)
	if edit != nil {
		edit(c)
	}
	home = t.TempDir()
	require.NoError(t, clientcmd.WriteToFile(*c, filepath.Join(home, ".kube", "config")))
	return home
}

// releaseIn makes a webhook configuration of a release of the test's own, whose Service is in the namespace.
func releaseIn(t *testing.T, namespace string) (release string) {
	t.Helper()
	s := newSite(t)
	client := s.clientConfig()
	client.Service.Namespace = namespace
	client.CABundle = good(t, s).CA
	configurations := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := configurations.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.validating, Labels: s.labels()},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "one.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(
				admissionv1.SideEffectClassNone,
			), ClientConfig: client, Rules: nobodies,
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return s.namespace
}

func TestTheNamespaceIsTheContextsOrTheUsualOne(t *testing.T) {
	t.Parallel()
	inNamespace := func(namespace string) func(c *api.Config) {
		return func(c *api.Config) { c.Contexts[c.CurrentContext].Namespace = namespace }
	}
	for name, tc := range map[string]struct {
		is   string // where the release is
		edit func(c *api.Config)
		args []string
		said string // the beginning of the error stream
		code int
	}{
		"the context's": {
			is: "mine", edit: inNamespace("mine"), said: "release RELEASE in namespace mine, the context's (--namespace is not set)\n",
		},
		"the usual one when it is only there": {
			is:   "kthena-system",
			edit: inNamespace("mine"),
			said: "release RELEASE in namespace kthena-system, for it is not in mine, the context's (--namespace is not set)\n",
		},
		"the usual one with a context of no namespace": {
			is:   "kthena-system",
			said: "release RELEASE in namespace kthena-system, for it is not in default, the context's (--namespace is not set)\n",
		},
		"no third one": {
			is: "theirs", edit: inNamespace("mine"), said: "release RELEASE in namespace mine, the context's (--namespace is not set)\n", code: 1,
		},
		"the one that is given": {is: "theirs", edit: inNamespace("mine"), args: []string{"-n", "theirs"}},
		"that of another context": {is: "theirs", edit: func(c *api.Config) {
			other := c.Contexts[c.CurrentContext].DeepCopy()
			other.Namespace = "theirs"
			c.Contexts["other"] = other
		}, args: []string{"--context", "other"}, said: "release RELEASE in namespace theirs, the context's (--namespace is not set)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := releaseIn(t, tc.is)
			env := []string{"HOME=" + writeConfig(t, tc.edit)}
			code, stdout, stderr := program(t, env, append([]string{"ca-bundle", "--release", release}, tc.args...)...)
			assert.Equal(t, tc.code, code, stderr)
			assert.Equal(t, tc.code == 0, strings.Contains(stdout, "BEGIN CERTIFICATE"))
			said := ""
			if tc.said != "" {
				said = "kthena-certgen: " + strings.ReplaceAll(tc.said, "RELEASE", release)
			}
			if tc.code == 0 {
				assert.Equal(t, said, stderr)
			}
			assert.True(t, strings.HasPrefix(stderr, said), stderr)
			_, _, stderr = program(t, env, append([]string{"verify", "--release", release}, tc.args...)...)
			assert.True(t, strings.HasPrefix(stderr, said), stderr)
		})
	}
}

func TestFlagsOfTheConnectionAreKubectls(t *testing.T) {
	t.Parallel()
	release := releaseIn(t, "default")
	two := func(c *api.Config) {
		current := c.Contexts[c.CurrentContext]
		c.Clusters["nowhere"] = &api.Cluster{Server: "https://127.0.0.1:1"}
		c.AuthInfos["nobody"] = &api.AuthInfo{Token: "wrong"}
		c.Contexts["bad"] = &api.Context{Cluster: "nowhere", AuthInfo: "nobody"}
		c.Clusters["good"], c.AuthInfos["good"] = c.Clusters[current.Cluster], c.AuthInfos[current.AuthInfo]
		c.CurrentContext = "bad"
	}
	ca := []string{"--timeout=10s"} // a 403 is asked again for some four seconds
	for name, tc := range map[string]struct {
		args []string
		want string // what is said; empty: it works
	}{
		"another cluster and user": {[]string{"--cluster=good", "--user=good"}, ""},
		"another cluster":          {[]string{"--cluster=good"}, "Unauthorized"},
		"another user":             {[]string{"--user=good"}, "127.0.0.1:1"},
		"somebody to act as": {
			[]string{"--cluster=good", "--user=good", "--as=system:serviceaccount:a:b"}, `User "system:serviceaccount:a:b" cannot list`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := program(t, []string{"HOME=" + writeConfig(t, two)}, append(append([]string{
				"ca-bundle", "--namespace=default", "--release", release,
			}, ca...), tc.args...)...)
			if tc.want == "" {
				require.Equal(t, 0, code, stderr)
				return
			}
			assert.NotZero(t, code)
			assert.Contains(t, stderr, tc.want)
		})
	}
}

func TestARequestMayBeGivenATime(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	home := writeConfig(t, func(c *api.Config) {
		c.Clusters[c.Contexts[c.CurrentContext].Cluster] = &api.Cluster{Server: server.URL}
	})
	for _, command := range []string{"ca-bundle", "verify"} {
		begun := time.Now()
		_, _, stderr := program(t, []string{"HOME=" + home}, command, "--namespace=default", "--request-timeout=300ms", "--timeout=30s")
		// Which of two timers of net/http comes first is chance.
		assert.Regexp(t, "context deadline exceeded|Client.Timeout exceeded", stderr, command)
		assert.NotContains(t, stderr, "timed out after", command)
		assert.NotContains(t, stderr, "unable to cancel", command)
		assert.Less(t, time.Since(begun), 15*time.Second, command)
	}
}

func TestAUserMaySignInByAProgram(t *testing.T) {
	t.Parallel()
	release := releaseIn(t, "default")
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700))
		return path
	}
	credential, err := json.Marshal(map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
		"status": map[string]string{"clientCertificateData": string(cluster.Config.CertData), "clientKeyData": string(cluster.Config.KeyData)},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "credential"), credential, 0o600))
	for name, tc := range map[string]struct {
		command, hint, want string
		code                int
	}{
		"that is there": {
			command: script("good", "while read -r line; do printf %s \"$line\"; done <"+filepath.Join(dir, "credential")+"; printf %s \"$line\"\n"),
		},
		"that fails": {command: script("bad", "exit 3\n"), code: 1, want: "bad failed with exit code 3"},
		"that is not found": {
			command: "kubelogin-of-nobody",
			code:    2,
			want: `~/.kube/config: using the kubeconfig: its user signs in by the program "kubelogin-of-nobody", which is not found: ` +
				`install it (see`,
		},
		"that is to be installed": {command: "kubelogin-of-nobody", hint: "get it\nfrom us", code: 2,
			want: `its user signs in by the program "kubelogin-of-nobody", which is not found: get it from us (see`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := writeConfig(t, func(c *api.Config) {
				c.AuthInfos[c.Contexts[c.CurrentContext].AuthInfo] = &api.AuthInfo{Exec: &api.ExecConfig{
					APIVersion: "client.authentication.k8s.io/v1", Command: tc.command, InstallHint: tc.hint,
					InteractiveMode: api.NeverExecInteractiveMode,
				}}
			})
			begun := time.Now()
			code, _, stderr := program(t, []string{"HOME=" + home}, "ca-bundle", "--namespace=default", "--release", release)
			assert.Equal(t, tc.code, code, stderr)
			assert.Contains(t, stderr, tc.want)
			assert.Less(t, time.Since(begun), 30*time.Second, "it is not tried again and again")
			if tc.code != 0 {
				assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			}
		})
	}
}

func TestAUserMaySignInByOIDC(t *testing.T) {
	t.Parallel()
	// An identity token that has not expired is sent as it is; the API server alone looks at its signature.
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	token := part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(time.Hour).Unix())) + ".c2ln"
	var sent atomic.Value
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Store(r.Header.Get("Authorization"))
		http.Error(w, "enough", http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	home := writeConfig(t, func(c *api.Config) {
		of := c.Contexts[c.CurrentContext]
		c.Clusters[of.Cluster] = &api.Cluster{Server: server.URL, CertificateAuthorityData: caOf(server)}
		c.AuthInfos[of.AuthInfo] = &api.AuthInfo{AuthProvider: &api.AuthProviderConfig{Name: "oidc", Config: map[string]string{
			"idp-issuer-url": server.URL, "client-id": "x", "id-token": token,
		}}}
	})
	_, _, _ = program(t, []string{"HOME=" + home}, "ca-bundle", "--namespace=default")
	assert.Equal(t, "Bearer "+token, sent.Load())
}

func TestAProxyThatIsInTheWayIsNamed(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }),
	)
	t.Cleanup(refusing.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	const server = "https://10.96.0.1:443"
	home := writeConfig(t, func(c *api.Config) { c.Clusters[c.Contexts[c.CurrentContext].Cluster].Server = server })
	configured := writeConfig(t, func(c *api.Config) {
		of := c.Clusters[c.Contexts[c.CurrentContext].Cluster]
		of.Server, of.ProxyURL = server, refusing.URL
	})
	bootstrap := []string{"bootstrap", "--namespace=ns", "--secret-name=certs", "--dns-name=a.ns.svc", "--timeout=1s"}
	byRefusing := "by the proxy " + refusing.URL + " of HTTPS_PROXY, add 10.96.0.1 to NO_PROXY if it is reached without: "
	for name, tc := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"of bootstrap":                   {[]string{"HOME=" + home, "HTTPS_PROXY=" + refusing.URL}, bootstrap, byRefusing + "Forbidden"},
		"of bootstrap, in small letters": {[]string{"HOME=" + home, "https_proxy=" + refusing.URL}, bootstrap, "of https_proxy, add"},
		"of bootstrap, without a word": {
			[]string{"HOME=" + home, "HTTPS_PROXY=http://" + silent.Addr().String()}, bootstrap,
			"by the proxy http://" + silent.Addr().String() + " of HTTPS_PROXY, add 10.96.0.1",
		},
		"of verify": {[]string{"HOME=" + home, "HTTPS_PROXY=" + refusing.URL}, []string{"verify"}, byRefusing + "Forbidden"},
		"of the kubeconfig": {
			[]string{"HOME=" + configured}, []string{"verify"}, "by the proxy " + refusing.URL + " of the kubeconfig's proxy-url: Forbidden",
		},
		"but not one that is not used": {[]string{"HOME=" + home, "HTTPS_PROXY=" + refusing.URL, "NO_PROXY=10.96.0.0/12"}, bootstrap, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := program(t, tc.env, tc.args...)
			assert.NotZero(t, code)
			last := stderr[strings.LastIndex(strings.TrimSpace(stderr), "\n")+1:]
			assert.True(t, strings.HasPrefix(last, "kthena-certgen: error: "), stderr)
			if tc.want == "" {
				assert.NotContains(t, stderr, "proxy")
				return
			}
			assert.Contains(t, last, tc.want)
		})
	}
}
