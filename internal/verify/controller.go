package verify

import (
	"context"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
)

// expectController takes note of the controller that a component's Deployment names.
func (v *Verifier) expectController(d deployment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name := d.Metadata.Annotations[annotationController]; name != "" {
		v.controller = name
	}
}

// lookAtController finds a controller that is missing, or not ready: it is ready while it reconciles everything.
func (v *Verifier) lookAtController(ctx context.Context) error {
	if v.controller == "" {
		return nil
	}
	object := "Deployment " + v.Namespace + "/" + v.controller
	var d deployment
	found, known, err := v.get(ctx, resource.Deployments, v.controller, nil, &d)
	switch {
	case err != nil:
		return err
	case !known:
	case !found:
		v.find(ControllerDown, object, v.upgradeRemedy(), "it does not exist, so what is renewed is not served and what is lost is not healed")
	case d.Spec.Replicas != nil && *d.Spec.Replicas == 0:
		v.find(ControllerDown, object, "kubectl scale --namespace "+v.Namespace+" deployment/"+v.controller+" --replicas=1",
			"it has no replicas, so what is renewed is not served and what is lost is not healed")
	case d.Status.AvailableReplicas == 0:
		v.find(ControllerDown, object, v.logsRemedy(v.controller), "none of its pods is ready: it is ready while it reconciles everything")
	}
	return nil
}
