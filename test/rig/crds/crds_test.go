package crds

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// A real API server establishes a definition too fast for a test to see it wait, so here is one that takes its time.
func TestInstallWaitsUntilEveryDefinitionIsEstablished(t *testing.T) {
	asked := map[string]int{} // Install asks one question after the other
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		crd := apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if r.Method == http.MethodGet {
			asked[name]++
			status := apiextensionsv1.ConditionFalse
			if asked[name] == 3 {
				status = apiextensionsv1.ConditionTrue
			}
			crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: status}}
		}
		w.Header().Set("Content-Type", "application/json")
		assert.NoError(t, json.NewEncoder(w).Encode(crd))
	}))
	defer server.Close()
	require.NoError(t, Install(t.Context(), &rest.Config{Host: server.URL, QPS: -1}))
	assert.Equal(t, map[string]int{
		"modelboosters.workload.serving.volcano.sh":       3,
		"autoscalingpolicies.workload.serving.volcano.sh": 3,
		"modelservings.workload.serving.volcano.sh":       3,
		"modelroutes.networking.serving.volcano.sh":       3,
		"modelservers.networking.serving.volcano.sh":      3,
	}, asked)
}
