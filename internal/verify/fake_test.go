package verify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

var now = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)

// made is a certificate of a new CA for the names, made now.
func made(t *testing.T, names ...string) gen.Bundle {
	t.Helper()
	b, err := gen.Generate(gen.Spec{DNSNames: names, Validity: 1000 * time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, now)
	require.NoError(t, err)
	return b
}

// release is one webhook with one pod, which serves a certificate from a Secret of kthena-certgen's. It is an API and a
// Dialer.
type release struct {
	t       *testing.T
	objects map[string]any // by path
	errors  map[string]error
	// created is the answer to an object, whose spec is invalid or not, or does not fit the schema of the kind.
	created func(path string, invalid bool) error
	// wants is what the schema wants of a spec, in JSON. What lacks it is refused before any webhook.
	wants string
	ahead time.Duration
	// serves is what the pod serves; nil is no TLS.
	serves *gen.Bundle
	// servesAt is what each pod serves, when there are several.
	servesAt func(pod string) *gen.Bundle
}

const (
	webhooksPath   = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
	servicePath    = "/api/v1/namespaces/ns/services/hook"
	slicesPath     = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices"
	deploymentPath = "/apis/apps/v1/namespaces/ns/deployments/server"
	secretPath     = "/api/v1/namespaces/ns/secrets/certs"
)

func newRelease(t *testing.T) (*release, *admissionv1.ValidatingWebhook) {
	t.Helper()
	b := made(t, "hook.ns.svc")
	r := &release{t: t, serves: &b, errors: map[string]error{}}
	hook := &admissionv1.ValidatingWebhook{
		Name: "check.example.com", FailurePolicy: ptr.To(admissionv1.Fail),
		ClientConfig: admissionv1.WebhookClientConfig{
			CABundle: b.CA, Service: &admissionv1.ServiceReference{Namespace: "ns", Name: "hook", Port: ptr.To[int32](443)},
		},
		Rules: []admissionv1.RuleWithOperations{{Rule: admissionv1.Rule{
			APIGroups: []string{"workload.serving.volcano.sh"}, APIVersions: []string{"v1alpha1"}, Resources: []string{"modelservings"},
		}}},
	}
	r.objects = map[string]any{
		webhooksPath: map[string]any{"items": []any{map[string]any{
			"metadata": map[string]any{
				"name": "config", "labels": map[string]string{labelComponent: "server"}, "annotations": map[string]string{annotationCertgen + "x": "y"},
			},
			"webhooks": []any{hook},
		}}},
		strings.Replace(webhooksPath, "validating", "mutating", 1): map[string]any{},
		servicePath: json.RawMessage(`{"spec":{"ports":[{"name":"webhook","port":443}]}}`),
		slicesPath: json.RawMessage(`{"items":[{"ports":[{"name":"webhook","port":8443}],
			"endpoints":[{"addresses":["10.0.0.1"],"targetRef":{"kind":"Pod","name":"pod"}}]}]}`),
		deploymentPath: json.RawMessage(`{"spec":{"template":{"spec":{
			"initContainers":[{"args":["bootstrap","--secret-name=certs","--dns-name=hook.ns.svc"],
"volumeMounts":[{"name":"v","mountPath":"/certs"}]}],
			"containers":[{"volumeMounts":[{"name":"v","mountPath":"/etc/tls"}]}]}}}}`),
		secretPath: map[string]any{
			"metadata": map[string]any{"labels": map[string]string{"app.kubernetes.io/managed-by": "kthena-certgen"}},
			"data":     map[string][]byte{"tls.crt": b.Cert, "tls.key": b.Key, "ca.crt": b.CA},
		},
	}
	r.created = func(_ string, invalid bool) error {
		if invalid {
			return denied("check.example.com")
		}
		return nil
	}
	return r, hook
}

// verify looks at the release.
func (r *release) verify(t *testing.T) (Report, error) {
	t.Helper()
	v := &Verifier{API: r, Dialer: r, Release: "r", Namespace: "ns", Now: func() time.Time { return now.Add(r.ahead) }}
	return v.Run(t.Context())
}

func (r *release) Get(_ context.Context, path string, _ url.Values, o any) error {
	if err := r.errors[path]; err != nil {
		return err
	}
	object, ok := r.objects[path]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, path)
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, o)
}

func (r *release) DryRunCreate(_ context.Context, path string, o any) error {
	text, err := json.Marshal(o)
	require.NoError(r.t, err)
	if !strings.Contains(string(text), r.wants) {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Kind"}, "x", field.ErrorList{field.Required(field.NewPath("spec"), "")})
	}
	invalid := strings.Contains(string(text), "not an image") || strings.Contains(string(text), `"matchLabels":{}`)
	return r.created(path, invalid)
}

func (r *release) Ahead() time.Duration { return r.ahead }

func (r *release) DialService(context.Context, string, int) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (r *release) DialEndpoint(_ context.Context, _ string, e Endpoint) (net.Conn, error) {
	require.Equal(r.t, Endpoint{Pod: e.Pod, Address: "10.0.0.1", Port: 8443}, e)
	client, server := net.Pipe()
	serves := r.serves
	if r.servesAt != nil {
		serves = r.servesAt(e.Pod)
	}
	if serves == nil {
		go func() {
			_, _ = server.Read(make([]byte, 16<<10))
			_, _ = server.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = server.Close()
		}()
		return client, nil
	}
	pair, err := tls.X509KeyPair(serves.Cert, serves.Key)
	require.NoError(r.t, err)
	go func() {
		conn := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
		_ = conn.Handshake()
		_, _ = conn.Read(make([]byte, 1)) // until the client goes
	}()
	return client, nil
}

// denied is what the API server makes of a refusal by a webhook.
func denied(webhook string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
		Message: `admission webhook "` + webhook + `" denied the request: no`,
	}}
}

func failed(webhook, cause string) error {
	return apierrors.NewInternalError(errors.New(`failed calling webhook "` + webhook + `": failed to call webhook: ` + cause))
}

func forbidden(resource, message string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x", errors.New(message))
}
