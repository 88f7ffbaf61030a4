package integration

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// judged is what the API server thinks of a bundle.
type judged string

const (
	trusted    judged = "trusted"    // it calls the webhook
	untrusted  judged = "untrusted"  // it reads the bundle, and the server's certificate does not fit it
	unreadable judged = "unreadable" // it finds no certificate in the bundle
)

// tlsFailure is how the API server says that it does not trust what a webhook serves.
var tlsFailure = regexp.MustCompile("failed calling webhook .*(x509|tls): ")

// TestBundlesAreJudgedAsByTheAPIServer asks the API server and each of ours what they think of bundles as people have them: the
// chart, which does not know the server's certificate and so can only tell whether a bundle is one, generate, and verify.
func TestBundlesAreJudgedAsByTheAPIServer(t *testing.T) {
	t.Parallel()
	all := variants(t)
	require.GreaterOrEqual(t, len(all), 60)
	listener := newWebhookServer(t)
	var group sync.WaitGroup
	tally := map[judged]int{}
	var mu sync.Mutex
	for chunk := range 8 {
		group.Go(func() {
			for i := chunk; i < len(all); i += 8 {
				v := all[i]
				t.Run(v.name, func(t *testing.T) {
					want := listener.judge(t, &v)
					mu.Lock()
					tally[want]++
					mu.Unlock()
					assert.Equal(t, want == trusted, v.verified(t), "verify, where the API server says: %s", want)
					accepted, said := v.generated(t)
					assert.Equal(t, want == trusted, accepted, "generate, where the API server says: %s: %s", want, said)
					if v.chart != "" {
						return
					}
					said = v.rendered(t)
					assert.Equal(t, want != unreadable, said == "", "chart, where the API server says: %s: %s", want, said)
				})
			}
		})
	}
	group.Wait()
	for _, j := range []judged{trusted, untrusted, unreadable} {
		assert.Greater(t, tally[j], 10, "variants that are %s", j)
	}
}

// webhookServer refuses every object. It has the certificate of each namespace whose Service is called.
type webhookServer struct {
	address string
	mu      sync.Mutex
	pairs   map[string]*tls.Certificate
}

const (
	refusal = "the webhook was called"
	service = "registry-webhook" // the chart's
	port    = 8443
)

func newWebhookServer(t *testing.T) *webhookServer {
	t.Helper()
	s := &webhookServer{pairs: map[string]*tls.Certificate{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(refuse))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if pair := s.pairs[hello.ServerName]; pair != nil {
			return pair, nil
		}
		return nil, fmt.Errorf("nobody is called %q", hello.ServerName)
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.address = cluster.Expose(server.Listener.Addr().String(), port)
	return s
}

func refuse(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: refusal}}
	_ = json.NewEncoder(w).Encode(review)
}

// judge asks the API server: it lets it call a webhook with the bundle, in a namespace of the variant's own.
func (s *webhookServer) judge(t *testing.T, v *variant) judged {
	t.Helper()
	ctx := t.Context()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(
		ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bundle-"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	v.namespace = ns.Name
	v.make(t, v)
	pair, err := tls.X509KeyPair(v.cert, v.key)
	require.NoError(t, err)
	s.mu.Lock()
	s.pairs[service+"."+v.namespace+".svc"] = &pair
	s.mu.Unlock()
	s.createService(t, v.namespace)
	c := &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: v.namespace, Labels: map[string]string{"app.kubernetes.io/instance": "kthena"}},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: "one.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(registrationv1.SideEffectClassNone),
			ClientConfig: registrationv1.WebhookClientConfig{
				CABundle: v.bundle, Service: &registrationv1.ServiceReference{Namespace: v.namespace, Name: service},
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: v.namespace}},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Create},
				Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}
	_, err = cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, c, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(
			context.Background(), v.namespace, metav1.DeleteOptions{},
		)
	})
	var verdict judged
	answer := ""
	if !assert.Eventually(t, func() bool {
		_, err := cluster.Client.CoreV1().ConfigMaps(v.namespace).Create(
			ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "x"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}},
		)
		if err == nil {
			return false // not yet in its cache
		}
		answer = err.Error()
		switch {
		case strings.Contains(answer, refusal):
			verdict = trusted
		case strings.Contains(answer, "unable to load root certificates"):
			verdict = unreadable
		case tlsFailure.MatchString(answer):
			verdict = untrusted
		}
		return verdict != "" // else the call met no endpoint yet, or a machine that was busy
	}, time.Minute, 20*time.Millisecond) {
		t.Fatal(answer)
	}
	return verdict
}

func (s *webhookServer) createService(t *testing.T, namespace string) {
	t.Helper()
	_, err := cluster.Client.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: service}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "webhook", Port: 443}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = cluster.Client.DiscoveryV1().EndpointSlices(namespace).Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{s.address}}},
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("webhook"), Port: ptr.To[int32](port)}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// network is verify's way to the pods.
type network struct{}

func (network) DialEndpoint(ctx context.Context, _ string, e verify.Endpoint) (net.Conn, error) {
	return cluster.DialPod(ctx, e.Address, e.Port)
}

func (network) DialService(ctx context.Context, clusterIP string, port int) (net.Conn, error) {
	return cluster.DialService(ctx, clusterIP, port)
}

// verified reports whether verify finds nothing broken about the bundle and the certificate.
func (v *variant) verified(t *testing.T) bool {
	t.Helper()
	raw, err := kube.NewRaw(cluster.Config, time.Now)
	require.NoError(t, err)
	report, err := (&verify.Verifier{API: raw, Dialer: network{}, Release: "kthena", Namespace: v.namespace, Now: time.Now}).Run(t.Context())
	require.NoError(t, err)
	require.Len(t, report.Webhooks, 1)
	for _, f := range report.Findings {
		switch f.Code {
		case verify.BundleMissing, verify.BundleMalformed, verify.BundleExpired, verify.Untrusted,
			verify.WrongName, verify.Expired, verify.NotYetValid, verify.Unusable:
			return false
		case verify.ServiceMissing, verify.ServicePort, verify.NoEndpoints, verify.EndpointUnreachable, verify.NotTLS:
			require.Fail(t, "the server was not looked at", "%v", f)
		}
	}
	return true
}

// generated reports whether generate takes the bundle and the server's certificate for manual mode, and what it says.
func (v *variant) generated(t *testing.T) (accepted bool, said string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	folder := filepath.Join(dir, "registry-webhook-certs-manual")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	bundle := filepath.Join(t.TempDir(), "ca.crt")
	for path, data := range map[string][]byte{
		filepath.Join(folder, "tls.crt"): v.cert, filepath.Join(folder, "tls.key"): v.key, bundle: v.bundle,
	} {
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	out, err := exec.CommandContext(t.Context(), certgen(t), "generate",
		"--namespace", v.namespace, "--subchart", "registry", "--output-dir", dir,
		"--import", "--ca-cert", bundle).CombinedOutput()
	if err == nil {
		return true, ""
	}
	require.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
	return false, string(out)
}

// rendered is what the chart says about the bundle, empty when it takes it.
func (v *variant) rendered(t *testing.T) string {
	t.Helper()
	values, err := helm.Values(
		"{global: {certManagementMode: manual, webhook: {caBundle: " + strconv.Quote(base64.StdEncoding.EncodeToString(v.bundle)) + "}}}",
	)
	require.NoError(t, err)
	if _, err = helm.Render(
		filepath.Join("..", "..", "charts", "kthena"),
		helm.RenderOptions{Release: "kthena", Namespace: v.namespace, KubeVersion: "v1.37.0", Values: values},
	); err == nil {
		return ""
	}
	require.Contains(t, err.Error(), "global.webhook.caBundle")
	return err.Error()
}
