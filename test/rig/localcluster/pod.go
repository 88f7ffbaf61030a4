package localcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// pod is one pod from its binding to its end.
type pod struct {
	kubelet    *Kubelet
	object     *corev1.Pod // as it was first seen: what is read of it never changes
	dir        string
	ip         string
	started    metav1.Time
	containers []*container // the init containers, and then the one container

	// All end with the kubelet, too.
	life   context.Context // until the pod's end is asked for: nothing is started after that
	known  context.Context // until the API does not know the pod any more
	active context.Context // until the last container has ended for good
	end    context.CancelFunc
	forget context.CancelFunc
	rest   context.CancelFunc

	background sync.WaitGroup // what ends with the containers
	statuses   chan struct{}  // holds a token when the status has to be written

	mu      sync.Mutex // guards what follows, and the status of the containers
	grace   time.Duration
	phase   corev1.PodPhase
	ready   corev1.PodCondition
	trouble string           // why the pod is not ready, as far as that is known
	written corev1.PodStatus // what the API server has of the status
}

func newPod(k *Kubelet, object *corev1.Pod) *pod {
	p := &pod{
		kubelet:  k,
		object:   object,
		dir:      filepath.Join(k.cluster.Dir, "pods", fmt.Sprintf("%s_%s_%s", object.Namespace, object.Name, object.UID)),
		ip:       k.cluster.network.allocateIP(),
		started:  metav1.Now(),
		statuses: make(chan struct{}, 1),
		phase:    corev1.PodPending,
	}
	p.known, p.forget = context.WithCancel(k.ctx)
	p.life, p.end = context.WithCancel(p.known)
	p.active, p.rest = context.WithCancel(k.ctx)
	for _, spec := range object.Spec.InitContainers {
		p.containers = append(p.containers, newContainer(p, spec, true))
	}
	for _, spec := range object.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, spec, false))
	}
	return p
}

// see takes note of the API's current state of the pod: that it is to end is all that can change.
func (p *pod) see(object *corev1.Pod) {
	if object.DeletionTimestamp == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grace = time.Duration(ptr.Deref(object.DeletionGracePeriodSeconds, 0)) * time.Second
	p.end()
}

// run is the pod's life.
func (p *pod) run() {
	defer p.forget()
	defer p.kubelet.cluster.network.detach(p.ip)
	p.background.Go(p.writeStatuses)
	phase, err := p.runContainers()
	if p.life.Err() == nil {
		p.mu.Lock()
		p.phase = phase
		p.mu.Unlock()
		p.inTrouble(err)
	}
	p.rest()
	p.background.Wait()
	if p.kubelet.ctx.Err() == nil {
		p.finish()
	}
}

// runContainers returns when the containers have ended for good, and says how.
func (p *pod) runContainers() (corev1.PodPhase, error) {
	if err := checkSupport(&p.object.Spec); err != nil {
		return corev1.PodFailed, err
	}
	p.statusChanged()
	if err := p.mountVolumes(); err != nil {
		return corev1.PodFailed, err
	}
	for _, c := range p.containers {
		if !c.run() {
			return corev1.PodFailed, nil
		}
	}
	return corev1.PodSucceeded, nil
}

// inTrouble takes note of why the pod is not ready. Nil changes nothing.
func (p *pod) inTrouble(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	p.trouble = err.Error()
	p.mu.Unlock()
	p.statusChanged()
}

// finish writes the last status, waits until the pod is to go, and takes it out of the API. The logs stay.
func (p *pod) finish() {
	if err := p.writeStatus(); err != nil {
		p.kubelet.logError("writing the last status", p.object, err)
	}
	if err := os.RemoveAll(p.volumeDir("")); err != nil {
		p.kubelet.logError("removing the volumes", p.object, err)
	}
	<-p.life.Done()
	err := p.kubelet.client.CoreV1().Pods(p.object.Namespace).Delete(p.kubelet.ctx, p.object.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0),
		Preconditions:      metav1.NewUIDPreconditions(string(p.object.UID)),
	})
	// A conflict says that another pod has the name now.
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		p.kubelet.logError("deleting the pod", p.object, err)
	}
}

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
		case <-p.active.Done():
			return
		case <-p.statuses:
		}
		if err := p.writeStatus(); err != nil {
			p.kubelet.logError("writing the status", p.object, err)
			sleep(p.active, retryInterval)
			p.statusChanged()
		}
	}
}

// writeStatus writes the status to the API server, which may have it already. A pod that has gone needs none.
func (p *pod) writeStatus() error {
	p.mu.Lock()
	status, written := p.status(), p.written
	p.mu.Unlock()
	if reflect.DeepEqual(status, written) {
		return nil
	}
	// The uid keeps it from a later pod of the same name.
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.object.UID}, "status": status})
	if err != nil {
		return err
	}
	pods := p.kubelet.client.CoreV1().Pods(p.object.Namespace)
	_, err = pods.Patch(p.kubelet.ctx, p.object.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	p.mu.Lock()
	p.written = status
	p.mu.Unlock()
	return nil
}

// status works out the pod's status. The caller holds the lock.
func (p *pod) status() corev1.PodStatus {
	var all []corev1.ContainerStatus
	for _, c := range p.containers {
		all = append(all, *c.status.DeepCopy())
	}
	inits := len(p.object.Spec.InitContainers)
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: p.ready.LastTransitionTime}
	if all[inits].Ready {
		p.trouble = ""
	} else {
		ready.Status, ready.Reason, ready.Message = corev1.ConditionFalse, "ContainersNotReady", p.trouble
	}
	if ready.Status != p.ready.Status {
		ready.LastTransitionTime = metav1.Now()
	}
	p.ready = ready
	return corev1.PodStatus{
		Phase:                 p.phase,
		PodIP:                 p.ip,
		PodIPs:                []corev1.PodIP{{IP: p.ip}},
		StartTime:             &p.started,
		InitContainerStatuses: all[:inits],
		ContainerStatuses:     all[inits:],
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: p.started}, ready,
		},
	}
}
