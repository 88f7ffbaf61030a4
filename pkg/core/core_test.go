package core_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// An update writes back all that was read: a field that the API has and we have not would be lost.
func TestASecretHasEveryFieldOfTheAPI(t *testing.T) {
	t.Parallel()
	assert.Equal(t, names(reflect.TypeFor[corev1.Secret]()), names(reflect.TypeFor[core.Secret]()))
}

func TestAnEventHasNoFieldButThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	for ours, theirs := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[core.Event]():           reflect.TypeFor[corev1.Event](),
		reflect.TypeFor[core.EventSource]():     reflect.TypeFor[corev1.EventSource](),
		reflect.TypeFor[core.ObjectReference](): reflect.TypeFor[corev1.ObjectReference](),
	} {
		known := names(theirs)
		for field, name := range names(ours) {
			assert.Equal(t, known[field], name, "%s.%s", ours, field)
		}
	}
}

// names are the names of a struct's fields in JSON, by their names in Go.
func names(of reflect.Type) map[string]string {
	all := map[string]string{}
	for field := range of.Fields() {
		all[field.Name], _, _ = strings.Cut(field.Tag.Get("json"), ",")
	}
	return all
}

func TestTheConstantsAreThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	assert.Equal(t, corev1.SchemeGroupVersion, core.GroupVersion)
	assert.EqualValues(t, corev1.SecretTypeTLS, core.SecretTypeTLS)
	assert.Equal(t, corev1.TLSCertKey, core.TLSCertKey)
	assert.Equal(t, corev1.TLSPrivateKeyKey, core.TLSPrivateKeyKey)
	assert.Equal(t, corev1.MaxSecretSize, core.MaxSecretSize)
	assert.Equal(t, corev1.EventTypeNormal, core.EventTypeNormal)
	assert.Equal(t, corev1.EventTypeWarning, core.EventTypeWarning)
}

// full has something in every field of metadata that a server sets or keeps.
func full() metav1.ObjectMeta {
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	fields := &metav1.FieldsV1{}
	fields.SetRawBytes([]byte(`{"f:data":{".":{},"f:a":{}}}`))
	return metav1.ObjectMeta{
		Name: "certs", GenerateName: "ce", Namespace: "ns", UID: "uid", ResourceVersion: "7", Generation: 2,
		CreationTimestamp: at, DeletionTimestamp: &at, DeletionGracePeriodSeconds: ptr.To(int64(0)),
		Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "<&>"}, Finalizers: []string{"example.com/f"},
		OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(false)},
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "m", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at, FieldsType: "FieldsV1",
			FieldsV1: fields,
		}},
	}
}

var secrets = map[string]corev1.Secret{
	"an empty one": {},
	"one with all there is": {
		ObjectMeta: full(),
		Immutable:  ptr.To(true),
		Data:       map[string][]byte{"a": []byte("1")},
		StringData: map[string]string{"b": "2"},
		Type:       "example.com/x",
	},
	"one that says it may change":    {Immutable: ptr.To(false)},
	"one with an empty value":        {Data: map[string][]byte{"a": {}, "b": nil}},
	"one that holds no text":         {Data: map[string][]byte{"a": {0, 255, 254, '\n'}}},
	"one that names its kind itself": {TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Type: corev1.SecretTypeTLS},
}

func TestASecretIsReadAndWrittenAsTheAPIDoes(t *testing.T) {
	t.Parallel()
	for name, secret := range secrets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := encode(t, secret)
			var s core.Secret
			require.NoError(t, json.Unmarshal(want, &s))
			assert.Equal(t, string(want), string(encode(t, &s)))
			assert.Equal(t, string(want), string(encode(t, s.DeepCopyObject())))
		})
	}
}

func TestACopyOfASecretSharesNothingWithIt(t *testing.T) {
	t.Parallel()
	secret := secrets["one with all there is"]
	want := encode(t, secret)
	var s core.Secret
	require.NoError(t, json.Unmarshal(want, &s))
	c := s.DeepCopy()
	*c.Immutable, c.Data["a"][0], c.Data["c"], c.StringData["b"], c.Type = false, 'x', nil, "x", "x"
	c.Labels["l"], c.Finalizers[0], c.OwnerReferences[0].Name, c.ManagedFields[0].Manager = "x", "x", "x", "x"
	assert.Equal(t, string(want), string(encode(t, s)))
}

func TestAnEventIsWrittenAsTheAPIDoes(t *testing.T) {
	t.Parallel()
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	ours := &core.Event{
		ObjectMeta: full(), Reason: "Created", Message: "m", Count: 1, Type: core.EventTypeNormal, FirstTimestamp: at, LastTimestamp: at,
		Source: core.EventSource{Component: "c"}, ReportingController: "c",
		InvolvedObject: core.ObjectReference{Kind: "Secret", Namespace: "ns", Name: "certs", UID: "uid", APIVersion: "v1", ResourceVersion: "7"},
	}
	var theirs corev1.Event
	require.NoError(t, json.Unmarshal(encode(t, ours.DeepCopyObject()), &theirs))
	var want, got map[string]any
	require.NoError(t, json.Unmarshal(encode(t, theirs), &want))
	require.NoError(t, json.Unmarshal(encode(t, ours), &got))
	maps.DeleteFunc(want, func(_ string, v any) bool { return v == nil || v == "" }) // eventTime and reportingInstance, which are not set
	assert.Equal(t, want, got)
	assert.Len(t, got, 10, "nothing was left empty")

	c := ours.DeepCopyObject().(*core.Event)
	c.Labels["l"] = "x"
	assert.Equal(t, "1", ours.Labels["l"])
}

func encode(t *testing.T, o any) []byte {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	return text
}
