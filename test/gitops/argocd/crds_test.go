package argocd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/test/gitops/scenario"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/crds"
)

// crdsFolder is the folder of the repository with Kthena's kinds.
const crdsFolder = "crds"

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// writeCRDs writes Kthena's kinds into a repository. They are applied on the server, which the real ones are too big to do without,
// and stay when the Application goes: that would take every object of theirs along.
func (c *argoCD) writeCRDs(t *testing.T, repository string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(repository, crdsFolder), 0o755))
	paths, err := filepath.Glob(filepath.Join(c.Env.Root, "test", "rig", "crds", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		const meta, annotations = "\nmetadata:\n", "  annotations: {argocd.argoproj.io/sync-options: 'ServerSideApply=true,Delete=false'}\n"
		require.Equal(t, 1, strings.Count(string(text), meta), path)
		annotated := strings.Replace(string(text), meta, meta+annotations, 1)
		require.NoError(t, os.WriteFile(filepath.Join(repository, crdsFolder, filepath.Base(path)), []byte(annotated), 0o644))
	}
}

// forgetCRDs makes the cluster know Kthena's kinds no more.
func (c *argoCD) forgetCRDs(t *testing.T) {
	t.Helper()
	client := scenario.Dynamic(t, c.Env).Resource(definitions)
	all, err := crds.All()
	require.NoError(t, err)
	for _, crd := range all {
		require.NoError(t, client.Delete(t.Context(), crd.Name, metav1.DeleteOptions{}))
	}
	for _, crd := range all {
		scenario.Await(t, crd.Name+" is gone", func() (bool, any) {
			_, err := client.Get(t.Context(), crd.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), err
		})
	}
}

// bringCRDs installs the chart and Kthena's kinds, as two sources of one Application, into a cluster that does not know them.
func (c *argoCD) bringCRDs(t *testing.T) {
	c.forgetCRDs(t)
	a := c.application(t, charttest.Auto)
	a.withCRDs = true
	later := map[string]any{"global": map[string]any{"requireCRDs": false}}
	a.Run(t,
		scenario.Install(a, "install, the CRDs as a source of their own", scenario.Values(charttest.Auto, later)),
		scenario.Upgrade(a, "upgrade of both", scenario.Values(charttest.Auto, later, scenario.Labelled("once"))),
	)
}
