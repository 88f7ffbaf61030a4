package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// Raw reads objects of any kind by their path, and tries to create some, without their types being linked. It does not
// repeat what fails: who looks for faults wants to see them.
type Raw struct {
	client *rest.RESTClient
	clock  *clock
}

// NewRaw makes a client that speaks to the API server of cfg. now is the clock here.
func NewRaw(cfg *rest.Config, now func() time.Time) (*Raw, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // the errors of the API server
	r := &Raw{clock: &clock{now: now}}
	cfg = rest.CopyConfig(cfg)
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cfg.QPS = -1 // a look at a release makes a few dozen requests
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		r.clock.next = next
		return r.clock
	})
	transport, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", cfg.Host, err)
	}
	if r.client, err = rest.UnversionedRESTClientForConfigAndClient(cfg, transport); err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", cfg.Host, err)
	}
	return r, nil
}

// Get implements verify.API.
func (r *Raw) Get(ctx context.Context, path string, query url.Values, o any) error {
	request := r.client.Get().AbsPath(path)
	for key, values := range query {
		for _, value := range values {
			request = request.Param(key, value)
		}
	}
	body, err := raw(request.Do(ctx))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, o); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", path, err)
	}
	return nil
}

// raw is the body of an answer. What a Result says itself of an error is not what the API server has said.
func raw(answer rest.Result) ([]byte, error) {
	if err := answer.Error(); err != nil {
		return nil, err
	}
	return answer.Raw()
}

// DryRunCreate implements verify.API. Fields that the kind's schema lacks are dropped without a warning.
func (r *Raw) DryRunCreate(ctx context.Context, path string, o any) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return r.client.Post().AbsPath(path).Param("dryRun", metav1.DryRunAll).Param("fieldValidation", metav1.FieldValidationIgnore).
		SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(ctx).Error()
}

// Ahead implements verify.API.
func (r *Raw) Ahead() time.Duration { return r.clock.ahead() }
