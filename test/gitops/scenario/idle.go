package scenario

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// fleeting are kinds that somebody writes all the time, whatever a deployer does.
var fleeting = map[string]bool{"events": true, "leases": true}

// Versions are the resourceVersions of everything in the release's namespace and of everything of the release outside of it, by
// resource and name.
func (r *Rig) Versions(t *testing.T) map[string]string {
	t.Helper()
	lists, err := discovery.ServerPreferredResources(r.Env.Client.Discovery())
	require.NoError(t, err)
	client := Dynamic(t, r.Env)
	all := map[string]string{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, kind := range list.APIResources {
			if fleeting[kind.Name] || !slices.Contains(kind.Verbs, "list") {
				continue
			}
			options, namespace := metav1.ListOptions{}, r.Namespace
			if !kind.Namespaced {
				options.LabelSelector, namespace = "app.kubernetes.io/part-of=kthena", ""
			}
			objects, err := client.Resource(gv.WithResource(kind.Name)).Namespace(namespace).List(t.Context(), options)
			require.NoError(t, err, kind.Name)
			for _, o := range objects.Items {
				all[kind.Name+"/"+o.GetName()] = o.GetResourceVersion()
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// awaitEndpoints waits until the addresses of every Service are those of pods that are there and ready, which a busy cluster may write
// some time after the pods have settled.
func (r *Rig) awaitEndpoints(t *testing.T) {
	t.Helper()
	Await(t, "the addresses of Services are those of their pods", func() (bool, any) {
		ready := map[string]bool{}
		pods, err := r.Env.Client.CoreV1().Pods(r.Namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, p := range pods.Items {
			ready[p.Name] = p.DeletionTimestamp == nil
		}
		list, err := r.Env.Client.DiscoveryV1().EndpointSlices(r.Namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, slice := range list.Items {
			behind := slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool {
				return !ready[e.TargetRef.Name] || !*e.Conditions.Ready
			})
			if behind || len(slice.Endpoints) == 0 {
				return false, slice
			}
		}
		return true, nil
	})
}

// Stands does something, and requires that nobody has written anything to the release meanwhile.
func (r *Rig) Stands(t *testing.T, do func()) {
	t.Helper()
	r.awaitEndpoints(t)
	before := r.Versions(t)
	do()
	assert.Equal(t, before, r.Versions(t), "nobody writes anything")
}
