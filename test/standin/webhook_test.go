package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// allPaths is every admission path of Kthena v1.0.0.
var allPaths = []string{
	"/mutate/modelbooster", "/mutate/autoscalingpolicy", "/validate/modelbooster", "/validate/autoscalingpolicy",
	"/validate-workload-ai-v1alpha1-modelserving", "/validate/modelroute", "/validate/modelserver",
}

func TestPaths(t *testing.T) {
	registry, workload, networking := allPaths[:4], allPaths[4:5], allPaths[5:]
	for sentence, c := range map[string]struct {
		program string
		args    []string
		want    []string
	}{
		"the registry's controllers serve the registry's paths":    {controllerManager, []string{"--controllers=modelbooster,autoscaler"}, registry},
		"the model booster alone serves its own two":               {controllerManager, []string{"--controllers=modelbooster"}, []string{registry[0], registry[2]}},
		"the workload's controller serves the workload's path":     {controllerManager, []string{"--controllers=modelserving"}, workload},
		"all controllers serve all of the controller-manager's":    {controllerManager, []string{"--controllers=*"}, allPaths[:5]},
		"without the flag the controller-manager runs all of them": {controllerManager, nil, allPaths[:5]},
		"the router serves the networking's paths":                 {router, nil, networking},
	} {
		t.Run(sentence, func(t *testing.T) {
			servers, err := parse(c.program, c.args, io.Discard)
			require.NoError(t, err)
			webhooks := servers[len(servers)-1].handler
			var served []string
			for _, path := range allPaths {
				response := send(webhooks, path, "{}")
				if response.Code != http.StatusNotFound {
					served = append(served, path)
				}
			}
			assert.Equal(t, c.want, served)
			health := httptest.NewRecorder()
			webhooks.ServeHTTP(health, httptest.NewRequest(http.MethodGet, "/healthz", nil))
			assert.Equal(t, http.StatusOK, health.Code)
		})
	}
}

func TestReview(t *testing.T) {
	const patch = `[{"op":"add","path":"/metadata/annotations/kthena.test~1mutated-by","value":"/mutate/modelbooster"}]`
	for sentence, c := range map[string]struct {
		path        string
		annotations map[string]string
		refusal     string
		patch       string
	}{
		"a validating path admits an object":                               {path: "/validate/modelroute"},
		"a validating path refuses an object that is marked":               {path: "/validate/modelroute", annotations: map[string]string{"kthena.test/refuse": "true"}, refusal: "refused by /validate/modelroute: annotation kthena.test/refuse is set"},
		"a validating path admits an object that mutation should refuse":   {path: "/validate/modelroute", annotations: map[string]string{"kthena.test/refuse-mutation": "true"}},
		"a validating path admits an object whose mark is not true":        {path: "/validate/modelroute", annotations: map[string]string{"kthena.test/refuse": "false"}},
		"a mutating path adds its annotation":                              {path: "/mutate/modelbooster", annotations: map[string]string{"a": "b"}, patch: patch},
		"a mutating path leaves the refusal of validation to validation":   {path: "/mutate/modelbooster", annotations: map[string]string{"kthena.test/refuse": "true"}, patch: patch},
		"a mutating path makes the annotations of an object that has none": {path: "/mutate/modelbooster", patch: `[{"op":"add","path":"/metadata/annotations","value":{"kthena.test/mutated-by":"/mutate/modelbooster"}}]`},
		"a mutating path refuses an object that is marked for it":          {path: "/mutate/modelbooster", annotations: map[string]string{"kthena.test/refuse-mutation": "true"}, refusal: "refused by /mutate/modelbooster: annotation kthena.test/refuse-mutation is set"},
	} {
		t.Run(sentence, func(t *testing.T) {
			object, err := json.Marshal(metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "x", Annotations: c.annotations}})
			require.NoError(t, err)
			review := admissionv1.AdmissionReview{
				TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
				Request:  &admissionv1.AdmissionRequest{UID: "u", Object: runtime.RawExtension{Raw: object}},
			}
			body, err := json.Marshal(review)
			require.NoError(t, err)
			recorded := send(webhookHandler(modelBooster, router), c.path, string(body))
			require.Equal(t, http.StatusOK, recorded.Code, recorded.Body)
			assert.Equal(t, "application/json", recorded.Header().Get("Content-Type"))
			var answer admissionv1.AdmissionReview
			require.NoError(t, json.Unmarshal(recorded.Body.Bytes(), &answer))
			assert.Equal(t, review.TypeMeta, answer.TypeMeta)
			assert.Nil(t, answer.Request)
			require.NotNil(t, answer.Response)
			assert.EqualValues(t, "u", answer.Response.UID)
			assert.Equal(t, c.refusal == "", answer.Response.Allowed)
			if c.refusal != "" {
				assert.Equal(t, &metav1.Status{Code: http.StatusForbidden, Message: c.refusal}, answer.Response.Result)
			}
			if c.patch == "" {
				assert.Nil(t, answer.Response.Patch)
				assert.Nil(t, answer.Response.PatchType)
				return
			}
			assert.JSONEq(t, c.patch, string(answer.Response.Patch))
			assert.Equal(t, admissionv1.PatchTypeJSONPatch, *answer.Response.PatchType)
		})
	}
}

func TestReviewRefuses(t *testing.T) {
	for sentence, c := range map[string]struct{ body, want string }{
		"what is not JSON":         {"x", "decoding the admission review: invalid character 'x' looking for beginning of value\n"},
		"a review without request": {"{}", "the admission review holds no request\n"},
		"a review without object":  {`{"request":{"uid":"u"}}`, "decoding the object: unexpected end of JSON input\n"},
	} {
		t.Run(sentence, func(t *testing.T) {
			recorded := send(webhookHandler(router), "/validate/modelroute", c.body)
			assert.Equal(t, http.StatusBadRequest, recorded.Code)
			assert.Equal(t, c.want, recorded.Body.String())
		})
	}
}

// send posts a body to a path of a handler.
func send(h http.Handler, path, body string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return recorder
}

func TestValidate(t *testing.T) {
	for sentence, c := range map[string]struct{ kind, spec, want string }{
		"a name of an image with a blank, of a ModelBooster":       {"ModelBooster", `{"backend":{"workers":[{"image":"not an image"}]}}`, "image cannot contain spaces"},
		"a name of an image with a blank, of a ModelServing":       {"ModelServing", `{"template":{"roles":[{"entryTemplate":{"spec":{"containers":[{"image":"not an image"}]}}}]}}`, "image cannot contain spaces"},
		"two metrics of one name":                                  {"AutoscalingPolicy", `{"metrics":[{"name":"a"},{"name":"a"}]}`, "duplicate metric name a is not allowed"},
		"a regular expression that is none":                        {"ModelRoute", `{"rules":[{"modelMatch":{"headers":{"x":{"regex":"("}}}}]}`, "error parsing regexp: missing closing ): `(`"},
		"a selector without labels":                                {"ModelServer", `{"workloadSelector":{}}`, "labels must contain at least one label"},
		"nothing of an empty spec, which the probe's objects have": {"ModelServer", `{}`, ""},
		"nothing of a good name of an image":                       {"ModelBooster", `{"backend":{"workers":[{"image":"image"}]}}`, ""},
	} {
		t.Run("refuses "+sentence, func(t *testing.T) {
			got, err := validate([]byte(`{"kind":"` + c.kind + `","spec":` + c.spec + `}`))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}
