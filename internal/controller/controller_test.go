package controller

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// slowAPI tells at once what there is, but for Deployments and EndpointSlices, which it keeps until pods is closed.
type slowAPI struct {
	objects map[string]any
	pods    chan struct{}
}

func (a *slowAPI) Follow(ctx context.Context, path string, query url.Values, h kube.Handler) error {
	if strings.HasSuffix(path, "/deployments") || strings.HasSuffix(path, "/endpointslices") {
		select {
		case <-a.pods:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	name := strings.TrimPrefix(query.Get("fieldSelector"), "metadata.name=")
	var events []kube.Event
	if o := a.objects[name]; o != nil {
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		events = append(events, kube.Event{Name: name, Object: text})
	}
	h.Replace(events)
	<-ctx.Done()
	return ctx.Err()
}

func (*slowAPI) MergePatch(context.Context, string, any, string, any) error {
	return errors.New("nothing is to be changed")
}

// What heals looks at Secrets and webhook configurations alone: that the rest has not been read, or must not be, keeps it from
// nothing, and does not leave it asleep.
func TestHealingDoesNotWaitForWhatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	at := time.Now()
	spec := gen.Spec{DNSNames: []string{name}, Validity: months, Key: gen.KeySpec{Algorithm: gen.ECDSA}}
	b, err := gen.Generate(spec, at)
	require.NoError(t, err)
	path := "/x"
	hook := admissionv1.ValidatingWebhook{Name: "check", ClientConfig: admissionv1.WebhookClientConfig{
		Service: &admissionv1.ServiceReference{Namespace: "ns", Name: "hook", Path: &path}, CABundle: b.CA,
	}}
	api := &slowAPI{pods: make(chan struct{}), objects: map[string]any{
		"certs": &core.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "certs"}, Type: core.SecretTypeTLS,
			Data: map[string][]byte{"tls.crt": b.Cert, "tls.key": b.Key, "ca.crt": b.CA},
		},
		"config": &admissionv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "config", Annotations: map[string]string{annotationAuto: "auto"}},
			Webhooks:   []admissionv1.ValidatingWebhook{hook},
		},
		"server": map[string]any{"metadata": map[string]any{"name": "server"}, "spec": map[string]any{"replicas": 0}},
	}}
	log := slog.New(slog.DiscardHandler)
	client, err := kube.New(&rest.Config{Host: "http://127.0.0.1:1"}, log)
	require.NoError(t, err)
	c := New(Options{
		Config: &Config{
			Release: "r", Namespace: "ns", Mode: verify.Auto, Validity: metav1.Duration{Duration: months},
			PrivateKey: PrivateKey{Algorithm: gen.ECDSA},
			Components: []Component{{Deployment: "server", Certificates: []Certificate{{
				Service: "hook", Port: "webhook", Secret: "certs", DNSNames: []string{name}, Validating: []string{"config"},
			}}}},
		},
		API: api, Client: client, Now: time.Now, Log: log,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	require.Eventually(
		t, func() bool { return c.components[0].healing.err() == nil }, 30*time.Second, time.Millisecond, "it heals before pods are known",
	)
	require.Error(t, c.Ready())
	close(api.pods)
	require.Eventually(t, func() bool { return c.Ready() == nil }, 30*time.Second, time.Millisecond, "and all is in order when they are")
	assert.NoError(t, c.Ready())
	cancel()
	<-ended
}
