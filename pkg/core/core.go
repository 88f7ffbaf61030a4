// Package core is what the program needs of the Kubernetes API's core group: a Secret, and the Events that are recorded about
// one. They are the API's own types in its JSON form; see the API reference for what a field means. They are plain values: who changes one
// that another goroutine may read changes a DeepCopy.
//
// k8s.io/api/core/v1 has them, too, but it registers every kind of the group when the program starts, so that the linker can leave none
// out: the program was 15.4 MiB with it and is 12.4 without.
package core

import (
	"bytes"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// GroupVersion is that of the types here.
var GroupVersion = schema.GroupVersion{Version: "v1"}

const (
	// SecretTypeTLS is the type of a Secret that must have a certificate and its key, at TLSCertKey and TLSPrivateKeyKey.
	SecretTypeTLS = "kubernetes.io/tls"
	// TLSCertKey is the Secret's key of the certificate.
	TLSCertKey = "tls.crt"
	// TLSPrivateKeyKey is the Secret's key of the certificate's private key.
	TLSPrivateKeyKey = "tls.key"
	// MaxSecretSize is how many bytes the values of a Secret may have together.
	MaxSecretSize = 1 << 20
)

// The types of Events.
const (
	EventTypeNormal  = "Normal"
	EventTypeWarning = "Warning"
)

// Secret is a Secret with every field that the API has, because an update writes back all that was read.
type Secret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Immutable  *bool             `json:"immutable,omitempty"`
	Data       map[string][]byte `json:"data,omitempty"`
	StringData map[string]string `json:"stringData,omitempty"`
	Type       string            `json:"type,omitempty"`
}

// DeepCopy is a copy that shares nothing with s.
func (s *Secret) DeepCopy() *Secret {
	c := *s
	s.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	if s.Immutable != nil {
		c.Immutable = new(*s.Immutable)
	}
	c.Data = maps.Clone(s.Data)
	for key, value := range c.Data {
		c.Data[key] = bytes.Clone(value)
	}
	c.StringData = maps.Clone(s.StringData)
	return &c
}

// DeepCopyObject implements runtime.Object.
func (s *Secret) DeepCopyObject() runtime.Object { return s.DeepCopy() }

// Event is an Event with the fields that are set on a new one. It is never updated.
type Event struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	InvolvedObject      ObjectReference `json:"involvedObject"`
	Reason              string          `json:"reason,omitempty"`
	Message             string          `json:"message,omitempty"`
	Source              EventSource     `json:"source"`
	FirstTimestamp      metav1.Time     `json:"firstTimestamp"`
	LastTimestamp       metav1.Time     `json:"lastTimestamp"`
	Count               int32           `json:"count,omitempty"`
	Type                string          `json:"type,omitempty"`
	ReportingController string          `json:"reportingComponent"`
}

// DeepCopyObject implements runtime.Object.
func (e *Event) DeepCopyObject() runtime.Object {
	c := *e
	e.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return &c
}

// EventSource is who an Event comes from.
type EventSource struct {
	Component string `json:"component,omitempty"`
}

// ObjectReference names an object.
type ObjectReference struct {
	Kind            string    `json:"kind,omitempty"`
	Namespace       string    `json:"namespace,omitempty"`
	Name            string    `json:"name,omitempty"`
	UID             types.UID `json:"uid,omitempty"`
	APIVersion      string    `json:"apiVersion,omitempty"`
	ResourceVersion string    `json:"resourceVersion,omitempty"`
}
