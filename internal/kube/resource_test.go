package kube_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
)

func TestTheTableOfResourcesIsTheAPIServers(t *testing.T) {
	t.Parallel()
	for r, namespaced := range map[resource.Resource]bool{
		resource.Secrets: true, resource.Services: true, resource.Pods: true, resource.Events: true, resource.Deployments: true,
		resource.EndpointSlices: true, resource.MutatingWebhookConfigurations: false, resource.ValidatingWebhookConfigurations: false,
	} {
		served, err := cluster.Client.Discovery().ServerResourcesForGroupVersion(r.APIVersion())
		require.NoError(t, err)
		var found []metav1.APIResource
		for _, of := range served.APIResources {
			if of.Name == r.Plural {
				found = append(found, of)
			}
		}
		require.Len(t, found, 1, "%s", r.Plural)
		assert.Equal(t, r.Kind, found[0].Kind)
		assert.Equal(t, namespaced, found[0].Namespaced)
	}
}
