package localcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// pod is one pod from its binding to its end.
type pod struct {
	kubelet *Kubelet
	object  *corev1.Pod // as it was first seen: what is read of it never changes
	dir     string
	ip      string
	started metav1.Time

	inits []*container // one after the other
	mains []*container // then these together

	deleted  chan struct{} // closed when the API asks for the pod's end
	removed  chan struct{} // closed when the API knows the pod no more
	ended    chan struct{} // closed when the last container has ended for good
	statuses chan struct{} // holds a token when the status has to be written

	background sync.WaitGroup // what ends with the containers

	mu         sync.Mutex // guards what follows, and the status of the containers
	grace      time.Duration
	refused    string
	ports      map[*container]map[int32]string
	conditions []corev1.PodCondition // as they were last worked out
	written    corev1.PodStatus      // what the API server has of it
}

func newPod(k *Kubelet, object *corev1.Pod) *pod {
	p := &pod{
		kubelet:  k,
		object:   object,
		dir:      filepath.Join(k.cluster.Dir, "pods", fmt.Sprintf("%s_%s_%s", object.Namespace, object.Name, object.UID)),
		ip:       k.cluster.network.allocateIP(),
		started:  metav1.Now(),
		deleted:  make(chan struct{}),
		removed:  make(chan struct{}),
		ended:    make(chan struct{}),
		statuses: make(chan struct{}, 1),
		ports:    map[*container]map[int32]string{},
	}
	for _, spec := range object.Spec.InitContainers {
		p.inits = append(p.inits, newContainer(p, spec, true))
	}
	for _, spec := range object.Spec.Containers {
		p.mains = append(p.mains, newContainer(p, spec, false))
	}
	p.see(object)
	return p
}

// see takes note of the API's current state of the pod: that it is to end is all that can change.
func (p *pod) see(object *corev1.Pod) {
	if object.DeletionTimestamp == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grace = time.Duration(deref(object.DeletionGracePeriodSeconds, 0)) * time.Second
	closeOnce(p.deleted)
}

// remove takes note that the pod is not in the API any more, so that nobody waits for an end with grace.
func (p *pod) remove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	closeOnce(p.deleted)
	closeOnce(p.removed)
}

// closeOnce closes a channel that is not closed yet. The caller holds the lock of all that close it.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// run is the pod's life.
func (p *pod) run() {
	defer p.kubelet.cluster.network.detach(p.ip)
	// life ends when the pod's end is asked for: nothing is started after that.
	life, cancel := context.WithCancel(p.kubelet.ctx)
	defer cancel()
	p.background.Go(p.writeStatuses)
	p.background.Go(func() {
		select {
		case <-p.deleted:
			cancel()
		case <-p.ended:
		}
	})
	if err := p.runContainers(life); err != nil && life.Err() == nil {
		p.refuse(err)
	}
	close(p.ended)
	p.background.Wait()
	if p.kubelet.ctx.Err() == nil {
		p.finish()
	}
}

// runContainers returns when the containers have ended for good.
func (p *pod) runContainers(life context.Context) error {
	if what := unsupported(&p.object.Spec); what != "" {
		return fmt.Errorf("not supported here: %s", what)
	}
	p.statusChanged()
	if err := p.mountVolumes(life); err != nil {
		return err
	}
	for _, c := range p.inits {
		if done := c.run(life); !done {
			return nil
		}
	}
	var mains sync.WaitGroup
	for _, c := range p.mains {
		mains.Go(func() { c.run(life) })
	}
	mains.Wait()
	return nil
}

// refuse ends a pod that cannot be run.
func (p *pod) refuse(err error) {
	p.mu.Lock()
	p.refused = err.Error()
	p.mu.Unlock()
	p.event(corev1.EventTypeWarning, "Failed", "Error: %v", err)
}

// finish writes the last status, waits until the pod is to go, and takes it out of the API. The logs stay.
func (p *pod) finish() {
	if err := p.writeStatus(); err != nil {
		p.logError("writing the last status of a pod", err)
	}
	if err := os.RemoveAll(p.volumeDir("")); err != nil {
		p.logError("removing the volumes of a pod", err)
	}
	select {
	case <-p.kubelet.ctx.Done():
		return
	case <-p.deleted:
	}
	err := p.kubelet.client.CoreV1().Pods(p.object.Namespace).Delete(p.kubelet.ctx, p.object.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0),
		Preconditions:      metav1.NewUIDPreconditions(string(p.object.UID)),
	})
	// A conflict says that another pod has the name now.
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		p.logError("deleting a pod", err)
	}
}

// logError logs what has gone wrong; at the kubelet's end, everything does.
func (p *pod) logError(doing string, err error) {
	if p.kubelet.ctx.Err() == nil {
		p.kubelet.log.Error("running a pod", "doing", doing, "pod", p.object.Namespace+"/"+p.object.Name, "error", err)
	}
}

// event tells of what has happened to the pod, as the kubelet does.
func (p *pod) event(kind, reason, format string, args ...any) {
	// Nobody takes it any more when the kubelet has ended.
	if p.kubelet.ctx.Err() == nil {
		p.kubelet.events.Eventf(p.object, kind, reason, format, args...)
	}
}

// attach makes the ports of one container reachable, or none of them any more.
func (p *pod) attach(c *container, ports map[int32]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ports[c] = ports
	all := map[int32]string{}
	for _, ports := range p.ports {
		maps.Copy(all, ports)
	}
	p.kubelet.cluster.network.attach(p.ip, all)
}

// logs returns what a container has written.
func (p *pod) logs(name string) ([]byte, error) {
	for _, c := range slices.Concat(p.inits, p.mains) {
		if c.spec.Name == name {
			return c.logs()
		}
	}
	return nil, fmt.Errorf("reading the log of pod %s/%s: it has no container %s", p.object.Namespace, p.object.Name, name)
}

// logs returns what all processes of the container have written, in order.
func (c *container) logs() ([]byte, error) {
	var all bytes.Buffer
	for attempt := 0; ; attempt++ {
		content, err := os.ReadFile(c.logFile(attempt))
		if errors.Is(err, os.ErrNotExist) {
			return all.Bytes(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the log of container %s: %w", c.spec.Name, err)
		}
		all.Write(content)
	}
}
