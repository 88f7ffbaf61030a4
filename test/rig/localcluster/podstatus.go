package localcluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// hostIP is the address of the one node in the status of its pods.
const hostIP = "127.0.0.1"

// statusChanged has the status written soon.
func (p *pod) statusChanged() {
	select {
	case p.statuses <- struct{}{}:
	default: // There is a token already: whoever takes it will see this change.
	}
}

// writeStatuses writes the status whenever it has changed, until the containers have ended for good.
func (p *pod) writeStatuses() {
	for {
		select {
		case <-p.ended:
			return
		case <-p.statuses:
		}
		if err := p.writeStatus(); err != nil {
			p.logError("writing the status of a pod", err)
			select {
			case <-p.ended:
				return
			case <-time.After(retryInterval):
				p.statusChanged()
			}
		}
	}
}

// writeStatus writes to the API server what of the status it does not have yet. A pod that has gone needs none.
func (p *pod) writeStatus() error {
	p.mu.Lock()
	status, written := p.status(), p.written
	p.mu.Unlock()
	if equality.Semantic.DeepEqual(status, written) {
		return nil
	}
	// A patch leaves conditions of others alone; the uid keeps it from a later pod of the same name.
	patch, err := patchOf(corev1.Pod{Status: written}, corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: p.object.UID}, Status: status})
	if err != nil {
		return err
	}
	_, err = p.kubelet.client.CoreV1().Pods(p.object.Namespace).Patch(p.kubelet.ctx, p.object.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	p.mu.Lock()
	p.written = status
	p.mu.Unlock()
	return nil
}

// patchOf returns the strategic merge patch that makes one pod the other.
func patchOf(from, to corev1.Pod) ([]byte, error) {
	before, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("encoding the status before: %w", err)
	}
	after, err := json.Marshal(to)
	if err != nil {
		return nil, fmt.Errorf("encoding the status: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("comparing the status with the one before: %w", err)
	}
	return patch, nil
}

// status works out the pod's status. The caller holds the lock.
func (p *pod) status() corev1.PodStatus {
	inits, mains := statuses(p.inits), statuses(p.mains)
	status := corev1.PodStatus{
		Phase:                 p.phase(),
		HostIP:                hostIP,
		HostIPs:               []corev1.HostIP{{IP: hostIP}},
		PodIP:                 p.ip,
		PodIPs:                []corev1.PodIP{{IP: p.ip}},
		StartTime:             &p.started,
		InitContainerStatuses: inits,
		ContainerStatuses:     mains,
	}
	if p.refused != "" {
		status.Reason, status.Message = "Unsupported", p.refused
	}
	unready := namesOfUnready(mains)
	p.setCondition(corev1.PodScheduled, nil, "")
	p.setCondition(corev1.PodInitialized, namesOfUnready(inits), "ContainersNotInitialized")
	p.setCondition(corev1.ContainersReady, unready, "ContainersNotReady")
	p.setCondition(corev1.PodReady, unready, "ContainersNotReady")
	status.Conditions = slices.Clone(p.conditions)
	return status
}

// phase follows the rules of the kubelet. The caller holds the lock.
func (p *pod) phase() corev1.PodPhase {
	if p.refused != "" {
		return corev1.PodFailed
	}
	for _, c := range p.inits {
		ended := c.status.State.Terminated
		switch {
		case ended != nil && ended.ExitCode == 0:
		case ended != nil && !c.restarts(ended.ExitCode):
			return corev1.PodFailed
		default:
			return corev1.PodPending
		}
	}
	running, failed := false, false
	for _, c := range p.mains {
		state, last := c.status.State, c.status.LastTerminationState
		switch {
		case state.Terminated != nil && !c.restarts(state.Terminated.ExitCode):
			failed = failed || state.Terminated.ExitCode != 0
		case state.Waiting != nil && last.Terminated == nil:
			return corev1.PodPending
		default:
			running = true
		}
	}
	switch {
	case running:
		return corev1.PodRunning
	case failed:
		return corev1.PodFailed
	default:
		return corev1.PodSucceeded
	}
}

func statuses(containers []*container) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range containers {
		all = append(all, *c.status.DeepCopy())
	}
	return all
}

func namesOfUnready(statuses []corev1.ContainerStatus) []string {
	var names []string
	for _, s := range statuses {
		if !s.Ready {
			names = append(names, s.Name)
		}
	}
	return names
}

// setCondition makes the condition true, or false when there are containers that stand against it. The caller holds the lock.
func (p *pod) setCondition(kind corev1.PodConditionType, against []string, reason string) {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}
	if len(against) > 0 {
		c.Status, c.Reason = corev1.ConditionFalse, reason
		c.Message = fmt.Sprintf("containers with unready status: [%s]", strings.Join(against, " "))
	}
	i := slices.IndexFunc(p.conditions, func(o corev1.PodCondition) bool { return o.Type == kind })
	if i < 0 {
		p.conditions = append(p.conditions, c)
		return
	}
	if p.conditions[i].Status == c.Status {
		c.LastTransitionTime = p.conditions[i].LastTransitionTime
	}
	p.conditions[i] = c
}
