// Package charts tests the charts in this folder by what they render.
package charts

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

const (
	umbrella = "kthena"
	library  = "kthena/charts/common"

	release     = "kthena"
	namespace   = "kthena-system"
	kubeVersion = "v1.37.2"

	certManagerGroup = "cert-manager.io"
	monitoringGroup  = "monitoring.coreos.com"
)

var (
	subcharts = []string{"registry", "workload", "networking"}
	update    = flag.Bool("update", false, "write the golden files anew")
)

// object is a rendered object whose metadata can be read.
type object interface {
	runtime.Object
	metav1.Object
}

// testCase is a file of values in testdata. Tests of what holds for every render go over all of them.
type testCase struct {
	name    string
	options helm.RenderOptions
}

// cases are the files testdata/<name>.values.yaml.
func cases(t *testing.T) []testCase {
	t.Helper()
	const suffix = ".values.yaml"
	files, err := filepath.Glob(filepath.Join("testdata", "*"+suffix))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	list := make([]testCase, 0, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		c := testCase{name: strings.TrimSuffix(filepath.Base(file), suffix), options: options(t, string(content))}
		if c.name == "long-names" {
			// As long as Helm allows a release's name to be, and Kubernetes a namespace's.
			c.options.Release = strings.Repeat("r", 53)
			c.options.Namespace = strings.Repeat("n", 63)
		}
		list = append(list, c)
	}
	return list
}

// mode is the one that the case's certificates come from.
func mode(c testCase) string {
	mode, found, err := unstructured.NestedString(c.options.Values, "global", "certManagementMode")
	if err != nil || !found {
		return "auto"
	}
	return mode
}

// options render the umbrella chart with values, a YAML text, without a cluster.
func options(t *testing.T, values string) helm.RenderOptions {
	t.Helper()
	o := helm.RenderOptions{Release: release, Namespace: namespace, KubeVersion: kubeVersion}
	require.NoError(t, yaml.UnmarshalStrict([]byte(values), &o.Values))
	return o
}

// render renders the umbrella chart with values, a YAML text.
func render(t *testing.T, values string) []object {
	t.Helper()
	return renderOptions(t, options(t, values))
}

// renders are what was rendered already, by the JSON of the options: many tests look at the same.
var renders sync.Map

func renderOptions(t *testing.T, o helm.RenderOptions) []object {
	t.Helper()
	key, err := json.Marshal(o)
	require.NoError(t, err)
	if known, ok := renders.Load(string(key)); ok {
		return copies(known.([]object))
	}
	rendered, err := helm.Render(umbrella, o)
	require.NoError(t, err)
	objects := decode(t, rendered)
	renders.Store(string(key), copies(objects))
	return objects
}

// copies are objects that a test may change.
func copies(objects []object) []object {
	list := make([]object, len(objects))
	for i, o := range objects {
		list[i] = o.DeepCopyObject().(object)
	}
	return list
}

// groups are those of the kinds that client-go does not have.
var groups = []string{certManagerGroup, "gateway.networking.k8s.io", "monitoring.coreos.com"}

// decode reads every document, hooks too, as the type that its kind names. An unknown or doubled field is an error. Of the kinds that
// client-go does not have, a test that asks their CRDs has to say what their fields are.
func decode(t *testing.T, rendered helm.Rendered) []object {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := rendered.All()
	objects := make([]object, 0, len(documents))
	for _, d := range documents {
		if slices.ContainsFunc(groups, func(group string) bool { return strings.HasPrefix(d.YAML, "apiVersion: "+group+"/") }) {
			content, err := yaml.YAMLToJSONStrict([]byte(d.YAML))
			require.NoError(t, err, "%s\n%s", d.Source, d.YAML)
			var u unstructured.Unstructured
			require.NoError(t, u.UnmarshalJSON(content))
			objects = append(objects, &u)
			continue
		}
		decoded, _, err := decoder.Decode([]byte(d.YAML), nil, nil)
		require.NoError(t, err, "%s\n%s", d.Source, d.YAML)
		require.Implements(t, (*object)(nil), decoded)
		objects = append(objects, decoded.(object))
	}
	return objects
}

// identity is the kind and the name of an object.
func identity(o object) string {
	return o.GetObjectKind().GroupVersionKind().Kind + "/" + o.GetName()
}

// identities are those of the objects, sorted.
func identities(objects []object) []string {
	list := make([]string, 0, len(objects))
	for _, o := range objects {
		list = append(list, identity(o))
	}
	slices.Sort(list)
	return list
}

// all are the objects of one type.
func all[T object](objects []object) []T {
	var found []T
	for _, o := range objects {
		if typed, ok := o.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// named is the one object of a type that has the name.
func named[T object](t *testing.T, objects []object, name string) T {
	t.Helper()
	found := slices.DeleteFunc(all[T](objects), func(o T) bool { return o.GetName() != name })
	require.Len(t, found, 1, "objects named %s", name)
	return found[0]
}

// deployments are the Deployments by name.
func deployments(objects []object) map[string]*appsv1.Deployment {
	byName := map[string]*appsv1.Deployment{}
	for _, d := range all[*appsv1.Deployment](objects) {
		byName[d.Name] = d
	}
	return byName
}

// components are the Deployments of Kthena's programs by name: all but the controller's.
func components(objects []object) map[string]*appsv1.Deployment {
	byName := deployments(objects)
	delete(byName, "kthena-certgen")
	return byName
}

// selects reports whether a selector of labels matches a pod template.
func selects(selector map[string]string, pod metav1.ObjectMeta) bool {
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels))
}

// container is the one of that name.
func container(t *testing.T, list []corev1.Container, name string) corev1.Container {
	t.Helper()
	i := slices.IndexFunc(list, func(c corev1.Container) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no container %s", name)
	return list[i]
}

// containers are those of a pod, init containers first.
func containers(pod corev1.PodSpec) []corev1.Container {
	return slices.Concat(pod.InitContainers, pod.Containers)
}

// cutFlag is the value of an argument --name=value.
func cutFlag(arg, name string) (value string, ok bool) {
	return strings.CutPrefix(arg, name+"=")
}

// refusal is what a template says that stops the render, without the template's place, and nothing without an error.
func refusal(err error) string {
	if err == nil {
		return ""
	}
	_, message, _ := strings.Cut(err.Error(), "): ")
	return message
}

// encode is what a field of bytes is in a manifest.
func encode(content []byte) string { return base64.StdEncoding.EncodeToString(content) }
