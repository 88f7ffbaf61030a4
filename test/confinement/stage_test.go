package confinement

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// The objects that attacks are aimed at.
const (
	mutating             = "kthena-registry-mutating-webhook"
	validating           = "kthena-registry-validating-webhook"
	validatingWorkload   = "kthena-workload-validating-webhook"
	validatingNetworking = "kthena-networking-validating-webhook"

	registrySecret   = "registry-webhook-certs-auto"
	workloadSecret   = "workload-webhook-certs-auto"
	networkingSecret = "networking-webhook-certs-auto"
	routerSecret     = "kthena-router-tls-auto"
	// foreignSecret is a Secret of somebody else's.
	foreignSecret = "foreign"
	// foreignEvent is an Event about a Deployment, relatedEvent one about a pod that is related to a Deployment, and foreignModel an object
	// of one of Kthena's kinds.
	foreignEvent = "foreign"
	relatedEvent = "related"
	foreignModel = "foreign"
)

// ownSecrets are the Secrets that the Role of an account names.
var ownSecrets = map[string][]string{
	registry: {registrySecret}, workload: {workloadSecret}, router: {networkingSecret, routerSecret},
	controller: {registrySecret, workloadSecret, networkingSecret, routerSecret},
}

// somebodys are a label and an annotation that somebody has put on a Secret of ours.
const somebodys = "example.com/somebodys"

// stage is a release in auto mode, with what attacks need. Its controller does not run, so that nothing is undone.
type stage struct {
	*charttest.Installation
	admin    rest.Interface
	accounts map[string]kubernetes.Interface
	// namesakes are accounts of the same names in another namespace.
	namesakes map[string]kubernetes.Interface
	// bindings are those of the policies.
	bindings []admissionv1.ValidatingAdmissionPolicyBinding
}

// newStage installs the release. Its policies are in effect when it returns.
func newStage(t testing.TB) *stage {
	t.Helper()
	config := rest.CopyConfig(env.Config)
	config.WarningHandler = rest.NoWarnings{}
	admin, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	s := &stage{Installation: env.Prepare(t), admin: client(admin)}
	s.accounts, s.namesakes = map[string]kubernetes.Interface{}, map[string]kubernetes.Interface{}
	with := map[string]any{"global": map[string]any{"certgen": map[string]any{"controller": map[string]any{"enabled": true}}}}
	_, err = s.Helm.Install(t.Context(), charttest.Release, env.Chart(), charttest.Merged(values(true), with), helm.ReleaseOptions{})
	require.NoError(t, err)
	none := []byte(`{"spec":{"replicas":0}}`)
	_, err = env.Client.AppsV1().Deployments(s.Namespace).Patch(t.Context(), controller, types.MergePatchType, none, metav1.PatchOptions{})
	require.NoError(t, err)
	s.Settle(t)
	s.RequireAdmission(t, charttest.Entries)
	for _, account := range []string{registry, workload, router, controller, verifier} {
		s.accounts[account], err = kubernetes.NewForConfig(as(t, s.Namespace, account))
		require.NoError(t, err)
		namesake := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}
		elsewhere := env.Client.CoreV1().ServiceAccounts(metav1.NamespaceDefault)
		_, err = elsewhere.Create(t.Context(), namesake, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			require.NoError(t, elsewhere.Delete(context.WithoutCancel(t.Context()), account, metav1.DeleteOptions{}))
		})
		s.namesakes[account], err = kubernetes.NewForConfig(as(t, metav1.NamespaceDefault, account))
		require.NoError(t, err)
	}
	s.prepare(t)
	ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=kthena"}
	bindings, err := env.Client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().List(t.Context(), ours)
	require.NoError(t, err)
	require.Len(t, bindings.Items, 6)
	s.bindings = bindings.Items
	s.await(t, true)
	return s
}

// prepare makes room for a Secret of ours, replaces another by somebody else's, and adds objects that are none of our business.
func (s *stage) prepare(t testing.TB) {
	t.Helper()
	core := env.Client.CoreV1()
	require.NoError(t, core.Secrets(s.Namespace).Delete(t.Context(), routerSecret, metav1.DeleteOptions{}))
	patch := func(name, body string) {
		_, err := core.Secrets(s.Namespace).Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	patch(workloadSecret, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`)
	patch(registrySecret, `{"metadata":{"labels":{"`+somebodys+`":"yes"},"annotations":{"`+somebodys+`":"yes"}}}`)
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: foreignSecret, Labels: map[string]string{managedBy: "somebody"}}}
	_, err := core.Secrets(s.Namespace).Create(t.Context(), foreign, metav1.CreateOptions{})
	require.NoError(t, err)
	deployment := corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: s.Namespace, Name: registry}
	for _, e := range []*corev1.Event{
		{ObjectMeta: metav1.ObjectMeta{Name: foreignEvent}, InvolvedObject: deployment},
		{
			ObjectMeta:     metav1.ObjectMeta{Name: relatedEvent},
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: s.Namespace, Name: "pod"}, Related: &deployment,
		},
	} {
		_, err = core.Events(s.Namespace).Create(t.Context(), e, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	body := encode(t, model("ModelServer", "networking.serving.volcano.sh", foreignModel))
	require.NoError(t, s.admin.Post().AbsPath(s.models("networking.serving.volcano.sh", "modelservers")).Body(body).Do(t.Context()).Error())
}

// widen gives all accounts more than the chart does, so that only the policies are left to refuse anything: every verb for every kind that
// attacks are about, except that a Secret of another name can be created and not updated. The rights are in effect when it returns.
func (s *stage) widen(t testing.TB) {
	t.Helper()
	for namespace, clients := range map[string]map[string]kubernetes.Interface{s.Namespace: s.accounts, metav1.NamespaceDefault: s.namesakes} {
		for account := range clients {
			grant(t, namespace, account,
				rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", nil, "*"),
				rule("admissionregistration.k8s.io", "validatingwebhookconfigurations", nil, "*"),
				rule("apps", "deployments", nil, "*"), rule("apps", "deployments/scale", nil, "*"), rule("apps", "deployments/status", nil, "*"),
				rule("", "events", nil, "*"), rule("events.k8s.io", "events", nil, "*"),
				rule("", "services", nil, "*"), rule("", "services/status", nil, "*"),
				rule("workload.serving.volcano.sh", "*", nil, "*"), rule("networking.serving.volcano.sh", "*", nil, "*"),
				rule("", "secrets", nil, "create", "delete", "deletecollection", "get", "patch"),
				rule("", "secrets", append([]string{foreignSecret}, ownSecrets[account]...), "update"),
			)
		}
		for account, client := range clients {
			s.awaitRight(t, account, client)
		}
	}
}

// awaitRight returns when an account may update the Secret of somebody else.
func (s *stage) awaitRight(t testing.TB, account string, client kubernetes.Interface) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: s.Namespace, Verb: "update", Resource: "secrets", Name: foreignSecret,
			}},
		}, metav1.CreateOptions{})
		require.NoError(c, err)
		assert.True(c, review.Status.Allowed, account)
	}, settling, poll)
}

// relax takes the policies out of effect, and enforce puts them back. Both return when that holds for all.
func (s *stage) relax(t testing.TB) {
	t.Helper()
	for _, b := range s.bindings {
		require.NoError(
			t, env.Client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(), b.Name, metav1.DeleteOptions{}),
		)
	}
	s.await(t, false)
}

func (s *stage) enforce(t testing.TB) {
	t.Helper()
	for _, b := range s.bindings {
		b.ResourceVersion, b.UID = "", ""
		_, err := env.Client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(t.Context(), &b, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	s.await(t, true)
}

// await returns when every policy refuses what it must, or none does.
func (s *stage) await(t testing.TB, refuse bool) {
	t.Helper()
	for _, g := range groups() {
		a := g.attacks[slices.IndexFunc(g.attacks, func(a attack) bool { return a.open })]
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			err := s.try(t, a, client(s.accounts[a.account]))
			if refuse {
				require.ErrorContains(c, err, refusal(g.policy))
			} else {
				require.NoError(c, err)
			}
		}, settling, poll)
	}
}

// get is the path of an object as JSON, without what the API server keeps about who has set what.
func (s *stage) get(t testing.TB, path string) map[string]any {
	t.Helper()
	body, err := s.admin.Get().AbsPath(path).Do(t.Context()).Raw()
	require.NoError(t, err, "%s", path)
	return decode(t, body)
}

// The paths of collections.
func (s *stage) secrets() string { return "/api/v1/namespaces/" + s.Namespace + "/secrets" }
func (s *stage) deployments() string {
	return "/apis/apps/v1/namespaces/" + s.Namespace + "/deployments"
}
func (s *stage) models(group, resource string) string {
	return "/apis/" + group + "/v1alpha1/namespaces/" + s.Namespace + "/" + resource
}

// configuration is the path of a webhook configuration.
func configuration(name string) string {
	kind := "validatingwebhookconfigurations"
	if name == mutating {
		kind = "mutatingwebhookconfigurations"
	}
	return "/apis/admissionregistration.k8s.io/v1/" + kind + "/" + name
}

// state says which versions of which objects there are, of all that attacks are aimed at.
func (s *stage) state(t testing.TB) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, path := range []string{
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
		s.secrets(), s.services(), s.deployments(), "/api/v1/events",
		s.models("workload.serving.volcano.sh", "modelboosters"), s.models("workload.serving.volcano.sh", "autoscalingpolicies"),
		s.models("workload.serving.volcano.sh", "modelservings"), s.models("networking.serving.volcano.sh", "modelroutes"),
		s.models("networking.serving.volcano.sh", "modelservers"),
	} {
		body, err := s.admin.Get().AbsPath(path).Do(t.Context()).Raw()
		require.NoError(t, err, "%s", path)
		var list unstructured.UnstructuredList
		require.NoError(t, list.UnmarshalJSON(body))
		for _, o := range list.Items {
			// Others record Events, too.
			if o.GetKind() != "Event" || slices.Contains([]string{foreignEvent, relatedEvent, newName}, o.GetName()) {
				versions[path+"/"+o.GetName()] = o.GetResourceVersion()
			}
		}
	}
	return versions
}

// version is that of an object, empty when it is not there or the path names none.
func (s *stage) version(t testing.TB, path string) string {
	t.Helper()
	body, err := s.admin.Get().AbsPath(path).Do(context.WithoutCancel(t.Context())).Raw()
	if apierrors.IsNotFound(err) {
		return ""
	}
	require.NoError(t, err, "%s", path)
	o := decode(t, body)
	if strings.HasSuffix(o["kind"].(string), "List") {
		return ""
	}
	return metadata(o)["resourceVersion"].(string)
}

func rule(group, resource string, names []string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names, Verbs: verbs}
}

func decode(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var o map[string]any
	require.NoError(t, json.Unmarshal(body, &o))
	return o
}

func encode(t testing.TB, o any) []byte {
	t.Helper()
	body, err := json.Marshal(o)
	require.NoError(t, err)
	return body
}
