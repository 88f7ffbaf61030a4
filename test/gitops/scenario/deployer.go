package scenario

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

// Deployer is who installs a release when an object of a kind of its own asks for it.
type Deployer struct {
	// Env is the cluster that it works on.
	Env *charttest.Environment
	// Name is how the manual calls it.
	Name string
	// Group is that of its programs.
	Group string
	// Programs are the names of their logs.
	Programs []string
	// Namespace is that of its own objects, as everywhere.
	Namespace string
	// Asks is the kind that asks for a release.
	Asks schema.GroupVersionKind
}

// Start starts a cluster with what the deployer's programs look for, and returns the folder that they have been built in. The cluster
// goes away with the test.
func (d *Deployer) Start(t *testing.T) (dir string) {
	t.Helper()
	dir, err := controlplane.Find(d.Group)
	require.NoError(t, err)
	d.Env, err = charttest.Start(t.Context(), charttest.Options{CertManager: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Env.Stop()) })
	crds := envtest.CRDInstallOptions{Paths: []string{filepath.Join(dir, "crds")}, ErrorIfPathMissing: true}
	_, err = envtest.InstallCRDs(d.Env.Config, crds)
	require.NoError(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: d.Namespace}}
	_, err = d.Env.Client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{})
	require.NoError(t, err)
	return dir
}

// Client is a client of the deployer's own objects of a kind.
func (d *Deployer) Client(t *testing.T, kind schema.GroupVersionKind) dynamic.ResourceInterface {
	t.Helper()
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return Dynamic(t, d.Env).Resource(resource).Namespace(d.Namespace)
}

// Create makes one of the deployer's own objects, changed before by those who have more to say than what it specifies.
func (d *Deployer) Create(
	t *testing.T, kind schema.GroupVersionKind, name string, spec map[string]any, change ...func(*unstructured.Unstructured),
) {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{"spec": Plain(t, spec)}}
	o.SetGroupVersionKind(kind)
	o.SetName(name)
	for _, c := range change {
		c(o)
	}
	_, err := d.Client(t, kind).Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
}
