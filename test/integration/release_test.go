package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// helmManager is the name that Helm applies under.
const helmManager = "helm"

// apply applies the site's validating configuration on the server's side as Helm 4 does, with the labels of a release of the
// namespace's name. A nil bundle is left out.
func (s *site) apply(t *testing.T, bundle []byte) error {
	t.Helper()
	o := &admissionv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: s.validating, Labels: s.labels()},
	}
	for _, name := range []string{"one", "two"} {
		client := s.clientConfig()
		client.CABundle = bundle
		o.Webhooks = append(o.Webhooks, admissionv1.ValidatingWebhook{
			Name: name + ".example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone),
			ClientConfig: client, Rules: nobodies,
		})
	}
	body, err := json.Marshal(o)
	require.NoError(t, err)
	_, err = cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(
		t.Context(), s.validating, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: helmManager},
	)
	return err
}

func (s *site) labels() map[string]string {
	return map[string]string{"app.kubernetes.io/part-of": "kthena", "app.kubernetes.io/instance": s.namespace}
}

func (s *site) validatingConfiguration(t *testing.T) *admissionv1.ValidatingWebhookConfiguration {
	t.Helper()
	o, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), s.validating, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// asAdmin runs a command for the site's release with the rights of an administrator.
func (s *site) asAdmin(t *testing.T, command string, more ...string) (code int, stdout, stderr string) {
	t.Helper()
	args := append([]string{command, "--kubeconfig", cluster.Kubeconfig, "--namespace", s.namespace, "--release", s.namespace}, more...)
	cmd := exec.CommandContext(t.Context(), certgen(t), args...)
	cmd.Env = []string{}
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if cmd.Run(); !assert.NotNil(t, cmd.ProcessState) {
		return -1, "", ""
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

func managers(fields []metav1.ManagedFieldsEntry) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Manager)
	}
	return names
}

func TestAReleasedBundleStaysAndBelongsToWhoSetsItNext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createMutating(t)
	require.NoError(t, s.apply(t, nil))
	s.bootstrap(t.Context(), t).requireDone(t, "created")
	before := s.validatingConfiguration(t)
	require.Equal(t, []string{"helm", "kthena-certgen"}, managers(before.ManagedFields))
	mine := good(t, s).CA
	err := s.apply(t, mine)
	require.True(t, apierrors.IsConflict(err), "%v", err)
	assert.ErrorContains(t, err, `conflicts with "kthena-certgen"`)
	require.NoError(t, s.apply(t, nil), "an upgrade in the same mode is no conflict")

	code, stdout, stderr := s.asAdmin(t, "release")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, "ValidatingWebhookConfiguration "+s.validating+" is released\n", stdout)
	after := s.validatingConfiguration(t)
	assert.Equal(t, before.Webhooks, after.Webhooks)
	assert.Equal(t, before.Labels, after.Labels)
	assert.Equal(t, []string{"helm"}, managers(after.ManagedFields))
	assert.Equal(t, before.ManagedFields[0].FieldsV1, after.ManagedFields[0].FieldsV1)

	code, stdout, stderr = s.asAdmin(t, "release")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, "ValidatingWebhookConfiguration "+s.validating+" is not owned\n", stdout)
	assert.Equal(t, after.ResourceVersion, s.validatingConfiguration(t).ResourceVersion, "nothing is written")

	require.NoError(t, s.apply(t, nil), "an upgrade in the same mode leaves the bundle")
	assert.Equal(t, before.Webhooks, s.validatingConfiguration(t).Webhooks)
	s.bootstrap(t.Context(), t).requireDone(t, "reused")
	require.NoError(t, s.apply(t, mine), "a pod that started meanwhile does not own the bundle again")
	for _, w := range s.validatingConfiguration(t).Webhooks {
		assert.Equal(t, mine, w.ClientConfig.CABundle)
	}
}

func TestReleaseWorksWhenNobodyElseOwnsAnything(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createMutating(t)
	require.NoError(t, s.apply(t, nil))
	s.bootstrap(t.Context(), t).requireDone(t, "created")
	client := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := client.Patch(
		t.Context(), s.validating, types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/managedFields/0"}]`), metav1.PatchOptions{},
	)
	require.NoError(t, err)
	before := s.validatingConfiguration(t)
	require.Equal(t, []string{"kthena-certgen"}, managers(before.ManagedFields))

	code, stdout, stderr := s.asAdmin(t, "release")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, "ValidatingWebhookConfiguration "+s.validating+" is released\n", stdout)
	after := s.validatingConfiguration(t)
	assert.Equal(t, before.Webhooks, after.Webhooks)
	assert.NotContains(t, managers(after.ManagedFields), "kthena-certgen")
}

func TestCABundleIsTheUnionOfAllEntries(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createMutating(t)
	require.NoError(t, s.apply(t, nil))
	client := cluster.Client.AdmissionregistrationV1()
	m, err := client.MutatingWebhookConfigurations().Get(t.Context(), s.mutating, metav1.GetOptions{})
	require.NoError(t, err)
	m.Labels = s.labels()
	expired, err := gen.Generate(
		gen.Spec{DNSNames: []string{"a.svc"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now().Add(-2*time.Hour),
	)
	require.NoError(t, err)
	one, two := good(t, s).CA, good(t, s).CA
	m.Webhooks[0].ClientConfig.CABundle = one
	m.Webhooks[1].ClientConfig.CABundle = bytes.Join([][]byte{expired.CA, two}, nil)
	_, err = client.MutatingWebhookConfigurations().Update(t.Context(), m, metav1.UpdateOptions{})
	require.NoError(t, err)
	v := s.validatingConfiguration(t)
	v.Webhooks[0].ClientConfig.CABundle = two
	_, err = client.ValidatingWebhookConfigurations().Update(t.Context(), v, metav1.UpdateOptions{})
	require.NoError(t, err)

	want := string(one) + string(two)
	code, stdout, stderr := s.asAdmin(t, "ca-bundle")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, want, stdout)
	assert.Contains(
		t, stderr,
		`msg="entry's CA bundle is not as it should be" kind=ValidatingWebhookConfiguration name=`+s.validating+
			" entry=two.example.com certificates=0 malformed=0",
	)
	code, stdout, stderr = s.asAdmin(t, "ca-bundle", "--output", "base64")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(want))+"\n", stdout)

	own := good(t, s).CA
	file := filepath.Join(t.TempDir(), "own.crt")
	require.NoError(t, os.WriteFile(file, own, 0o600))
	code, stdout, stderr = s.asAdmin(t, "ca-bundle", "--add", file)
	require.Equal(t, 0, code, stderr)
	for _, ca := range [][]byte{one, two, own} {
		assert.Contains(t, stdout, string(ca))
	}
	assert.Len(t, stdout, len(one)+len(two)+len(own))
	m, err = client.MutatingWebhookConfigurations().Get(t.Context(), s.mutating, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, string(m.Webhooks[0].ClientConfig.CABundle), string(one), "what was trusted is trusted")
	assert.Contains(t, string(m.Webhooks[0].ClientConfig.CABundle), string(own))
	v = s.validatingConfiguration(t)
	for _, w := range append(
		m.Webhooks[1:], admissionv1.MutatingWebhook{ClientConfig: v.Webhooks[0].ClientConfig},
		admissionv1.MutatingWebhook{ClientConfig: v.Webhooks[1].ClientConfig},
	) {
		assert.Contains(t, string(w.ClientConfig.CABundle), string(own))
	}
	code, again, stderr := s.asAdmin(t, "ca-bundle", "--add", file)
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, stdout, again)
	assert.Equal(t, v.ResourceVersion, s.validatingConfiguration(t).ResourceVersion, "what is trusted already is not written again")
}

func TestAReleaseThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	require.NoError(t, s.apply(t, nil))
	for command, more := range map[string][]string{"release": {"--namespace=other"}, "ca-bundle": {"--release=other"}} {
		code, stdout, stderr := s.asAdmin(t, command, more...)
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout)
		assert.Regexp(
			t, `^kthena-certgen: error: finding the webhook configurations of release .*other.*: there are none; check --namespace and --release\n$`,
			stderr,
		)
	}
	code, stdout, stderr := s.asAdmin(t, "ca-bundle")
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout)
	assert.Contains(
		t, stderr,
		"kthena-certgen: error: reading the CA bundles of release "+s.namespace+"/"+s.namespace+
			": there is no CA certificate in them that has not expired\n",
	)
}
