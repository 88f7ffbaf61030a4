package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations that say what is to happen to an object, and what has happened.
const (
	refuseAnnotation         = "kthena.test/refuse"
	refuseMutationAnnotation = "kthena.test/refuse-mutation"
	mutatedByAnnotation      = "kthena.test/mutated-by"
)

// Paths for what a broken webhook does: one answers no review, one does not answer. And for what versions of Kthena after v1.0.0 do.
const (
	rubbishPath = "/kthena.test/rubbish"
	slowPath    = "/kthena.test/slow"
	laterPath   = "/kthena.test/later"
)

// webhooks are the admission paths of Kthena v1.0.0, with the controller of kthena-controller-manager, or the program,
// that each belongs to.
var webhooks = []webhook{
	{path: "/mutate/modelbooster", owner: modelBooster, mutating: true},
	{path: "/mutate/autoscalingpolicy", owner: autoscaler, mutating: true},
	{path: "/validate/modelbooster", owner: modelBooster},
	{path: "/validate/autoscalingpolicy", owner: autoscaler},
	{path: "/validate-workload-ai-v1alpha1-modelserving", owner: modelServing},
	{path: "/validate/modelroute", owner: router},
	{path: "/validate/modelserver", owner: router},
	{path: laterPath + "/validate/modelserver", owner: router, later: true},
}

type webhook struct {
	path     string
	owner    string
	mutating bool
	// later says that it refuses what versions after v1.0.0 refuse.
	later bool
}

// webhookHandler serves /healthz and the webhooks of the owners.
func webhookHandler(owners ...string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", healthy)
	mux.HandleFunc("POST "+rubbishPath, healthy)
	mux.HandleFunc("POST "+slowPath, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the client go only when it has read all
		<-r.Context().Done()
	})
	for _, w := range webhooks {
		if slices.Contains(owners, w.owner) {
			mux.Handle("POST "+w.path, w)
		}
	}
	return mux
}

// routerHandler serves what the router's own port does when no model is there.
func routerHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", healthy)
	mux.HandleFunc("/readyz", healthy)
	return mux
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

// ServeHTTP answers one admission review.
func (h webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, fmt.Sprintf("decoding the admission review: %v", err), http.StatusBadRequest)
		return
	}
	if review.Request == nil {
		http.Error(w, "the admission review holds no request", http.StatusBadRequest)
		return
	}
	response, err := h.review(review.Request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response}); err != nil {
		http.Error(w, fmt.Sprintf("encoding the admission review: %v", err), http.StatusInternalServerError)
	}
}

func (h webhook) review(request *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(request.Object.Raw, &object); err != nil {
		return nil, fmt.Errorf("decoding the object: %w", err)
	}
	refuse := refuseAnnotation
	if h.mutating {
		refuse = refuseMutationAnnotation
	}
	if object.Annotations[refuse] == "true" {
		return &admissionv1.AdmissionResponse{UID: request.UID, Result: &metav1.Status{
			Code:    http.StatusForbidden,
			Message: fmt.Sprintf("refused by %s: annotation %s is set", h.path, refuse),
		}}, nil
	}
	response := &admissionv1.AdmissionResponse{UID: request.UID, Allowed: true}
	if !h.mutating {
		check := validate
		if h.later {
			check = validateLater
		}
		reason, err := check(request.Object.Raw)
		if err != nil {
			return nil, err
		}
		if reason != "" {
			response.Allowed = false
			response.Result = &metav1.Status{Code: http.StatusForbidden, Message: reason}
		}
		return response, nil
	}
	var err error
	if response.Patch, err = h.patch(object.Annotations); err != nil {
		return nil, fmt.Errorf("encoding the patch: %w", err)
	}
	kind := admissionv1.PatchTypeJSONPatch
	response.PatchType = &kind
	return response, nil
}

// patch returns the JSON patch that adds the annotation to an object that has these.
func (h webhook) patch(annotations map[string]string) ([]byte, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	add := operation{Op: "add", Path: "/metadata/annotations", Value: map[string]string{mutatedByAnnotation: h.path}}
	if annotations != nil {
		add.Path += "/" + strings.ReplaceAll(mutatedByAnnotation, "/", "~1")
		add.Value = h.path
	}
	return json.Marshal([]operation{add})
}
