package main

import (
	"encoding/json"
	"fmt"
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

	"github.com/volcano-sh/kthena-certgen/internal/sample"
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
		"the registry's controllers serve the registry's paths": {
			controllerManager, []string{"--controllers=modelbooster,autoscaler"}, registry,
		},
		"the model booster alone serves its own two": {
			controllerManager, []string{"--controllers=modelbooster"}, []string{registry[0], registry[2]},
		},
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
		"a validating path admits an object": {path: "/validate/modelroute"},
		"a validating path refuses an object that is marked": {
			path:        "/validate/modelroute",
			annotations: map[string]string{"kthena.test/refuse": "true"},
			refusal:     "refused by /validate/modelroute: annotation kthena.test/refuse is set",
		},
		"a validating path admits an object that mutation should refuse": {
			path: "/validate/modelroute", annotations: map[string]string{"kthena.test/refuse-mutation": "true"},
		},
		"a validating path admits an object whose mark is not true": {
			path: "/validate/modelroute", annotations: map[string]string{"kthena.test/refuse": "false"},
		},
		"a mutating path adds its annotation": {
			path: "/mutate/modelbooster", annotations: map[string]string{"a": "b"}, patch: patch,
		},
		"a mutating path leaves the refusal of validation to validation": {
			path: "/mutate/modelbooster", annotations: map[string]string{"kthena.test/refuse": "true"}, patch: patch,
		},
		"a mutating path makes the annotations of an object that has none": {
			path:  "/mutate/modelbooster",
			patch: `[{"op":"add","path":"/metadata/annotations","value":{"kthena.test/mutated-by":"/mutate/modelbooster"}}]`,
		},
		"a mutating path refuses an object that is marked for it": {
			path:        "/mutate/modelbooster",
			annotations: map[string]string{"kthena.test/refuse-mutation": "true"},
			refusal:     "refused by /mutate/modelbooster: annotation kthena.test/refuse-mutation is set",
		},
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

// Each case is a sample of kthena-certgen verify with one change.
func TestValidate(t *testing.T) {
	for sentence, c := range map[string]struct {
		resource string
		old, new string // text of the sample, and what takes its place
		want     string // part of the refusal; empty: admitted
	}{
		"a ModelBooster": {"modelboosters", "", "", ""},
		"a ModelBooster with a blank in an image": {"modelboosters", `"image":"sample"`, `"image":"a b"`, "cannot contain spaces"},
		"a ModelBooster without an image":         {"modelboosters", `"image":"sample",`, "", ""},
		"a vLLM backend without a server":         {"modelboosters", `"type":"server"`, `"type":"decode"`, "one worker, of type server"},
		"a vLLM backend with two workers": {
			"modelboosters", `"workers":[`, `"workers":[{"type":"server"},`, "one worker, of type server",
		},

		"an AutoscalingPolicy":    {"autoscalingpolicies", "", "", ""},
		"two metrics of one name": {"autoscalingpolicies", `"name":"b"`, `"name":"a"`, "metric a is there twice"},
		"a metric whose target is nothing": {
			"autoscalingpolicies", `"targetValue":"1"`, `"targetValue":"0"`, "must be greater than 0",
		},
		"an AutoscalingPolicy without metrics":          {"autoscalingpolicies", `"metrics"`, `"others"`, "there is no metric"},
		"an AutoscalingPolicy without a target":         {"autoscalingpolicies", `"homogeneousTarget"`, `"other"`, "there is no target"},
		"an AutoscalingPolicy of a target without name": {"autoscalingpolicies", `,"name":"sample"`, "", "the target has no name"},
		"an AutoscalingPolicy of a target without kind": {"autoscalingpolicies", `"kind":"ModelServing",`, "", ""},
		"an AutoscalingPolicy of another kind":          {"autoscalingpolicies", `"ModelServing"`, `"Deployment"`, "no ModelServing"},

		"a ModelServing": {"modelservings", "", "", ""},
		"a ModelServing with a blank in an image":  {"modelservings", `"image":"sample"`, `"image":"a b"`, "cannot contain spaces"},
		"a ModelServing of fewer than no replicas": {"modelservings", `{"replicas":1`, `{"replicas":-1`, "replicas must not be negative"},
		"a role of fewer than no replicas": {
			"modelservings", `"replicas":1,"workerReplicas"`, `"replicas":-1,"workerReplicas"`, "replicas of a role must not be negative",
		},
		"a role of fewer than no workers": {
			"modelservings", `"workerReplicas":0`, `"workerReplicas":-1`, "replicas of a role must not be negative",
		},
		"workers that have no template": {"modelservings", `"workerReplicas":0`, `"workerReplicas":1`, "needs a template"},
		"a role whose name is none":     {"modelservings", `"name":"sample"`, `"name":"A"`, `name "A"`},
		"a role whose name makes another too long": {
			"modelservings", `"name":"sample"`, `"name":"` + strings.Repeat("a", 60) + `"`, "must be no more than 63",
		},

		"a ModelRoute":                          {"modelroutes", "", "", ""},
		"a regular expression that is none":     {"modelroutes", `{"regex":"sample"}`, `{"regex":"("}`, "error parsing regexp"},
		"a header without a regular expression": {"modelroutes", `"regex"`, `"exact"`, ""},
		"a ModelRoute without a name": {
			"modelroutes", `"modelName":"sample"`, `"modelName":""`, "neither a modelName nor a LoRA adapter",
		},
		"a ModelRoute of a LoRA adapter": {"modelroutes", `"modelName":"sample"`, `"loraAdapters":["a"]`, ""},
		"a target without a name": {
			"modelroutes", `"modelServerName":"sample"`, `"modelServerName":""`, "modelServerName must not be empty",
		},
		"targets whose weights come to nothing": {
			"modelroutes", `"modelServerName":"sample"`, `"modelServerName":"sample","weight":0`, "come to nothing",
		},

		"a ModelServer":                {"modelservers", "", "", ""},
		"a ModelServer without labels": {"modelservers", `"sample":"sample"`, "", ""},
		"a ModelServer with nothing":   {"modelservers", `"workloadSelector"`, `"other"`, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := sample.Of(c.resource)[0]
			require.Contains(t, string(s.Valid), c.old)
			got, err := validate(
				fmt.Appendf(nil, `{"kind":%q,"metadata":{"name":"x"},"spec":%s}`, s.Kind, strings.Replace(string(s.Valid), c.old, c.new, 1)),
			)
			require.NoError(t, err)
			if c.want == "" {
				assert.Empty(t, got)
				return
			}
			assert.Contains(t, got, c.want)
		})
	}
}

// What is said to be refused is, by the version that the sample says: all but what it may admit.
func TestTheInvalidSamples(t *testing.T) {
	for _, resource := range []string{"modelboosters", "autoscalingpolicies", "modelservings", "modelroutes", "modelservers"} {
		t.Run(resource, func(t *testing.T) {
			s := sample.Of(resource)[0]
			raw := fmt.Appendf(nil, `{"kind":%q,"metadata":{"name":"x"},"spec":%s}`, s.Kind, s.Invalid)
			got, err := validate(raw)
			require.NoError(t, err)
			assert.Equal(t, s.MayAdmit, got == "", got)
			if s.MayAdmit {
				got, err = validateLater(raw)
				require.NoError(t, err)
				assert.NotEmpty(t, got, "a version refuses it")
				got, err = validateLater(fmt.Appendf(nil, `{"kind":%q,"spec":%s}`, s.Kind, s.Valid))
				require.NoError(t, err)
				assert.Empty(t, got)
			}
		})
	}
}
