package kube_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

func encode(t *testing.T, o any) string {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	return string(text)
}

// The API server gives an object a new resourceVersion when anything of it changes.
func TestASecretThatIsWrittenBackAsItWasReadIsTheSame(t *testing.T) {
	t.Parallel()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(
		t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kube-"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	ours, theirs := newClient(t).Secrets(ns.Name), cluster.Client.CoreV1().Secrets(ns.Name)
	of := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
	meta := of("meta")
	meta.Labels, meta.Annotations = map[string]string{"l": "1"}, map[string]string{"a": "<&>\u2028"}
	meta.Finalizers = []string{"example.com/f"}
	meta.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "Namespace", Name: ns.Name, UID: ns.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(false)},
	}
	deleted := meta
	deleted.Name = "deleted"
	for name, secret := range map[string]corev1.Secret{
		"an empty one":                     {ObjectMeta: of("empty")},
		"one with somebody's metadata":     {ObjectMeta: meta},
		"one that is being deleted":        {ObjectMeta: deleted},
		"an immutable one":                 {ObjectMeta: of("immutable"), Immutable: ptr.To(true), Data: map[string][]byte{"a": []byte("1")}},
		"one that says that it may change": {ObjectMeta: of("mutable"), Immutable: ptr.To(false)},
		"one with an empty value":          {ObjectMeta: of("value"), Data: map[string][]byte{"a": {}, "b": nil}},
		"one that was given as text":       {ObjectMeta: of("text"), StringData: map[string]string{"a": "1"}},
		"one that holds no text":           {ObjectMeta: of("binary"), Data: map[string][]byte{"a": {0, 255, 254, '\n'}}},
		"one of another type":              {ObjectMeta: of("type"), Type: "example.com/x"},
		"one as large as can be":           {ObjectMeta: of("large"), Data: map[string][]byte{"a": make([]byte, core.MaxSecretSize)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := theirs.Create(t.Context(), &secret, metav1.CreateOptions{FieldManager: "somebody"})
			require.NoError(t, err)
			if secret.Name == "deleted" {
				require.NoError(t, theirs.Delete(t.Context(), secret.Name, metav1.DeleteOptions{}))
			}
			before, err := theirs.Get(t.Context(), secret.Name, metav1.GetOptions{})
			require.NoError(t, err)
			read, err := ours.Get(t.Context(), secret.Name, metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, encode(t, before), encode(t, read))
			written, err := ours.Update(t.Context(), read, metav1.UpdateOptions{FieldManager: "us"})
			require.NoError(t, err)
			assert.Equal(t, encode(t, before), encode(t, written))
		})
	}
}

func TestTheAPIServerSaysWhatIsWrongWithASecret(t *testing.T) {
	t.Parallel()
	ns, err := cluster.Client.CoreV1().Namespaces().Create(
		t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kube-"}}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	ours := newClient(t).Secrets(ns.Name)
	made, err := ours.Create(
		t.Context(), &core.Secret{ObjectMeta: metav1.ObjectMeta{Name: "certs"}, Immutable: ptr.To(true)}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*core.Secret)
		want   string
	}{
		"which is too large": {
			func(s *core.Secret) { s.Data = map[string][]byte{"a": make([]byte, core.MaxSecretSize+1)} },
			"data: Too long: may not be more than 1048576 bytes",
		},
		"which is to be of a new type": {
			func(s *core.Secret) { s.Type = core.SecretTypeTLS }, "type: Invalid value: \"kubernetes.io/tls\": field is immutable",
		},
		"which may not change": {
			func(s *core.Secret) { s.StringData = map[string]string{"a": "1"} }, "data: Forbidden: field is immutable when `immutable` is set",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := made.DeepCopy()
			tc.change(s)
			_, err := ours.Update(t.Context(), s, metav1.UpdateOptions{})
			require.True(t, apierrors.IsInvalid(err), "%v", err)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}
