package controller

import (
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// annotationCertificate is what the pods' template of a Deployment is given to roll the pods to other certificates: their
// fingerprints. It is part of the interface.
const annotationCertificate = "certgen.kthena.volcano.sh/certificate"

// meta is the metadata that is looked at.
type meta struct {
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resourceVersion"`
	Generation      int64             `json:"generation"`
	Annotations     map[string]string `json:"annotations"`
}

// deployment is one of the API's, as far as it is looked at: the types of k8s.io/api/apps would be linked with all of their
// generated code.
type deployment struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Replicas *int32 `json:"replicas"`
		Paused   bool   `json:"paused"`
		Template struct {
			Metadata meta `json:"metadata"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Replicas           int32 `json:"replicas"`
		UpdatedReplicas    int32 `json:"updatedReplicas"`
		ReadyReplicas      int32 `json:"readyReplicas"`
		AvailableReplicas  int32 `json:"availableReplicas"`
		Conditions         []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

// replicas is how many pods it is to have.
func (d *deployment) replicas() int32 { return ptr.Deref(d.Spec.Replicas, 1) }

// unsettled says why the Deployment must not be rolled now, empty when it may be: all of its pods are those of its template,
// and available.
func (d *deployment) unsettled() string {
	s, want := d.Status, d.replicas()
	switch {
	case d.Spec.Paused:
		return "it is paused"
	case s.ObservedGeneration < d.Metadata.Generation, s.UpdatedReplicas != want, s.Replicas != want:
		return "it is progressing"
	case s.AvailableReplicas != want:
		return "not all of its pods are available"
	}
	return ""
}

// rolling reports whether a roll is on its way that may still succeed.
func (d *deployment) rolling() bool {
	s := d.Status
	if d.Spec.Paused || s.ObservedGeneration == d.Metadata.Generation && s.UpdatedReplicas == d.replicas() && s.Replicas == d.replicas() &&
		s.AvailableReplicas == d.replicas() {
		return false
	}
	for _, c := range s.Conditions {
		if c.Type == "Progressing" && c.Status == "False" && s.ObservedGeneration == d.Metadata.Generation {
			return false // its deadline has passed (apps/v1, DeploymentProgressing)
		}
	}
	return true
}

// rolledTo is the value of the annotation.
func (d *deployment) rolledTo() string {
	return d.Spec.Template.Metadata.Annotations[annotationCertificate]
}

// slice is an EndpointSlice.
type slice struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	verify.EndpointSlice
}
