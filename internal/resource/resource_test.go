package resource

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAResourceSaysWhereItsObjectsAre(t *testing.T) {
	t.Parallel()
	for path, of := range map[string]struct {
		resource        Resource
		namespace, name string
	}{
		"/api/v1/namespaces/ns/secrets/certs":                                       {Secrets, "ns", "certs"},
		"/api/v1/namespaces/ns/secrets":                                             {Secrets, "ns", ""},
		"/apis/apps/v1/deployments":                                                 {Deployments, "", ""},
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hooks": {MutatingWebhookConfigurations, "", "hooks"},
	} {
		assert.Equal(t, path, of.resource.Path(of.namespace, of.name))
	}
	assert.Equal(t, "/api/v1", Secrets.GroupPath())
	assert.Equal(t, "/apis/cert-manager.io/v1", Issuers.GroupPath())
	assert.Equal(t, "v1", Secrets.APIVersion())
	assert.Equal(t, "apps/v1", Deployments.APIVersion())
}
