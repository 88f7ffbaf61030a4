// Package integration tests the program and the chart together, on a real API server.
package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// cluster is the API server that the tests of this package share.
var cluster *localcluster.Cluster

func TestMain(m *testing.M) { localcluster.Main(m, &cluster) }

// certgen is the program, built once for all tests.
func certgen(t *testing.T) string {
	t.Helper()
	path := filepath.Join("..", "..", "bin", "kthena-certgen")
	assert.FileExists(t, path, "run make build first")
	return path
}

// site is a namespace with a service account that has the rights the chart gives it, and what the chart leaves for
// bootstrap to fill: two webhook configurations with two entries each.
type site struct {
	namespace  string
	secret     string
	mutating   string
	validating string
	kubeconfig string
	user       string
}

const account = "server"

func newSite(t *testing.T) *site {
	t.Helper()
	ctx := t.Context()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(
		ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "site-"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	s := &site{namespace: ns.Name, secret: "webhook-certs-auto", mutating: ns.Name + "-mutating", validating: ns.Name + "-validating"}
	s.user = "system:serviceaccount:" + s.namespace + ":" + account
	_, err = cluster.Client.CoreV1().ServiceAccounts(s.namespace).Create(
		ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	s.grant(t)
	s.kubeconfig = s.writeKubeconfig(t, cluster.Config.Host, cluster.Config.CAData)
	return s
}

// grant gives the service account the rights of the chart's roles.
func (s *site) grant(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.namespace, Name: account}}
	_, err := cluster.Client.RbacV1().Roles(s.namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: account}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{s.secret}, Verbs: []string{"get", "update", "delete"}},
			{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}},
		}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = cluster.Client.RbacV1().RoleBindings(s.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account}, Subjects: subjects, RoleRef: rbacv1.RoleRef{
			APIGroup: rbacv1.GroupName, Kind: "Role", Name: account,
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = cluster.Client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace}, Rules: []rbacv1.PolicyRule{
			{
				APIGroups:     []string{"admissionregistration.k8s.io"},
				Resources:     []string{"mutatingwebhookconfigurations"},
				ResourceNames: []string{s.mutating},
				Verbs:         []string{"get", "patch"},
			},
			{
				APIGroups:     []string{"admissionregistration.k8s.io"},
				Resources:     []string{"validatingwebhookconfigurations"},
				ResourceNames: []string{s.validating},
				Verbs:         []string{"get", "patch"},
			},
		}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = cluster.Client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace}, Subjects: subjects, RoleRef: rbacv1.RoleRef{
			APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: s.namespace,
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// writeKubeconfig writes a kubeconfig with a token of the service account and nothing else to be known by.
func (s *site) writeKubeconfig(t *testing.T, server string, ca []byte) string {
	t.Helper()
	token, err := cluster.Client.CoreV1().ServiceAccounts(s.namespace).CreateToken(
		t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		Clusters:       map[string]*api.Cluster{"c": {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*api.AuthInfo{"u": {Token: token.Status.Token}},
		Contexts:       map[string]*api.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, path))
	return path
}

// createConfigurations makes the two webhook configurations.
func (s *site) createConfigurations(t *testing.T) {
	t.Helper()
	s.createMutating(t)
	s.createValidating(t)
}

func (s *site) createMutating(t *testing.T) {
	t.Helper()
	o := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: s.mutating}}
	for _, name := range []string{"one", "two"} {
		o.Webhooks = append(o.Webhooks, admissionv1.MutatingWebhook{
			Name: name + ".example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
			ClientConfig: s.clientConfig(), Rules: nobodies,
		})
	}
	_, err := cluster.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (s *site) createValidating(t *testing.T) {
	t.Helper()
	o := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: s.validating}}
	for _, name := range []string{"one", "two"} {
		o.Webhooks = append(o.Webhooks, admissionv1.ValidatingWebhook{
			Name: name + ".example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
			ClientConfig: s.clientConfig(), Rules: nobodies,
		})
	}
	_, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (s *site) clientConfig() admissionv1.WebhookClientConfig {
	return admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: s.namespace, Name: "webhook"}}
}

// nobodies are objects that no test creates.
var nobodies = []admissionv1.RuleWithOperations{{
	Operations: []admissionv1.OperationType{admissionv1.Create},
	Rule:       admissionv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"nobodies"}},
}}

// bundles are the CA bundles of all entries of the site.
func (s *site) bundles(t *testing.T) [][]byte {
	t.Helper()
	var all [][]byte
	m, err := cluster.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), s.mutating, metav1.GetOptions{})
	require.NoError(t, err)
	for _, w := range m.Webhooks {
		all = append(all, w.ClientConfig.CABundle)
	}
	v, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), s.validating, metav1.GetOptions{})
	require.NoError(t, err)
	for _, w := range v.Webhooks {
		all = append(all, w.ClientConfig.CABundle)
	}
	return all
}

func (s *site) storedSecret(t *testing.T) *corev1.Secret {
	t.Helper()
	o, err := cluster.Client.CoreV1().Secrets(s.namespace).Get(t.Context(), s.secret, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// outcome is what a run of the program left behind.
type outcome struct {
	code   int
	stderr string
	dir    string
	// The line it ended with.
	Secret                string
	Outcome               string
	Reason                string
	CAFingerprint         string
	NotAfter              time.Time
	WebhookConfigurations []struct {
		Kind, Name string
		Entries    int
		Patched    bool
	}
	Files   string
	Elapsed string
}

// bootstrap runs the program as the chart's init container does, with more arguments at the end. It may be called in any
// goroutine.
func (s *site) bootstrap(ctx context.Context, t *testing.T, more ...string) *outcome {
	t.Helper()
	o := &outcome{dir: t.TempDir()}
	cmd := exec.CommandContext(ctx, certgen(t), append(s.arguments(o.dir), more...)...)
	cmd.Env = []string{}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Errorf("starting the program: %v", err)
		return o
	}
	o.code, o.stderr = cmd.ProcessState.ExitCode(), stderr.String()
	if stdout.Len() > 0 {
		assert.NoError(t, json.Unmarshal(stdout.Bytes(), o), stdout.String())
	}
	return o
}

// arguments are those of the chart's init container.
func (s *site) arguments(dir string) []string {
	return []string{
		"bootstrap", "--namespace", s.namespace, "--secret-name", s.secret,
		"--dns-name", "webhook." + s.namespace + ".svc", "--dns-name", "webhook." + s.namespace + ".svc.cluster.local",
		"--mutating-webhook-configuration", s.mutating, "--validating-webhook-configuration", s.validating,
		"--output-dir", dir, "--kubeconfig", s.kubeconfig, "--timeout", "60s",
	}
}

func (o *outcome) requireDone(t *testing.T, want string) {
	t.Helper()
	require.Equal(t, 0, o.code, o.stderr)
	require.Equal(t, want, o.Outcome, o.stderr)
}

// file reads one of the files that the program wrote.
func (o *outcome) file(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(o.dir, name))
	require.NoError(t, err)
	return data
}

// requests counts the requests of the service account so far.
func (s *site) requests(t assert.TestingT) map[string]int {
	requests, err := cluster.Requests(s.user)
	assert.NoError(t, err)
	return localcluster.Count(requests)
}
