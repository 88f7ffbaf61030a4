package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rules of the kubelet for a container that ends again and again.
const (
	maxBackoffFactor = 30 // 10 seconds grow to 5 minutes
	// A container that has run this many times the longest wait begins anew.
	backoffResetFactor = 2
)

// blockedError is why a container cannot be started, in the words of its status. It may pass.
type blockedError struct {
	reason  string
	message string
}

func (e blockedError) Error() string { return e.message }

// container is one container of a pod over all of its restarts.
type container struct {
	pod    *pod
	spec   corev1.Container
	init   bool
	status corev1.ContainerStatus // guarded by the pod's lock
}

func newContainer(p *pod, spec corev1.Container, init bool) *container {
	// The kubelet's words for a container that nothing has been done for yet.
	reason := "ContainerCreating"
	if len(p.object.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	return &container{pod: p, spec: spec, init: init, status: corev1.ContainerStatus{
		Name:    spec.Name,
		Image:   spec.Image,
		Started: new(bool),
		State:   corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
	}}
}

// run runs the container until its restart policy is satisfied, which it reports, or the pod's life ends.
func (c *container) run(life context.Context) (done bool) {
	backoff := backoff{first: c.pod.kubelet.options.RestartBackoff}
	for attempt := 0; ; attempt++ {
		process := c.start(life, attempt)
		if process == nil {
			return false
		}
		c.attend(life, process)
		ended := c.setEnded(process)
		if life.Err() != nil {
			return false
		}
		if !c.restarts(ended.ExitCode) {
			return ended.ExitCode == 0
		}
		wait := backoff.next(ended.FinishedAt.Sub(ended.StartedAt.Time))
		if wait > 0 {
			message := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", wait, c.spec.Name, c.pod.object.Name, c.pod.object.Namespace, c.pod.object.UID)
			c.setWaiting(blockedError{reason: "CrashLoopBackOff", message: message})
			c.pod.event(corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s", c.spec.Name)
		}
		select {
		case <-life.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// start starts the container's process as soon as that is possible, or returns nil when the pod's life ends before.
func (c *container) start(life context.Context, attempt int) *process {
	for told := ""; life.Err() == nil; {
		changed := c.pod.kubelet.changed.wait()
		process, err := c.startProcess(life, attempt)
		if err == nil {
			c.setRunning(process, attempt)
			return process
		}
		var waiting blockedError
		if !errors.As(err, &waiting) {
			waiting = blockedError{reason: "CreateContainerError", message: err.Error()}
		}
		if waiting.message != told && life.Err() == nil {
			told = waiting.message
			c.setWaiting(waiting)
			c.pod.event(corev1.EventTypeWarning, "Failed", "Error: %s", waiting.message)
		}
		select {
		case <-life.Done():
		case <-changed:
		case <-time.After(retryInterval):
		}
	}
	return nil
}

// attend watches over the process until it has ended: by itself, because it is not alive, or because the pod's life ends.
func (c *container) attend(life context.Context, process *process) {
	probing, stopProbing := context.WithCancel(life)
	unhealthy := c.watchHealth(probing, process)
	select {
	case <-process.ended:
	case <-unhealthy:
		c.pod.event(corev1.EventTypeNormal, "Killing", "Container %s failed liveness probe, will be restarted", c.spec.Name)
		c.stop(process, time.Duration(deref(c.pod.object.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds))*time.Second)
	case <-life.Done():
		c.pod.mu.Lock()
		grace := c.pod.grace
		c.pod.mu.Unlock()
		c.pod.event(corev1.EventTypeNormal, "Killing", "Stopping container %s", c.spec.Name)
		c.stop(process, grace)
	}
	stopProbing()
	c.pod.attach(c, nil)
}

// stop ends the process as the kubelet does: preStop, SIGTERM, and SIGKILL when the grace period, which both share, is over.
func (c *container) stop(process *process, grace time.Duration) {
	const minimum = 2 * time.Second // that the kubelet leaves to the process whatever preStop has taken
	deadline := time.Now().Add(grace)
	if l := c.spec.Lifecycle; l != nil && l.PreStop != nil && grace > 0 {
		select {
		case <-time.After(min(grace, time.Duration(l.PreStop.Sleep.Seconds)*time.Second)):
		case <-process.ended:
			return
		case <-c.pod.removed:
		case <-c.pod.kubelet.ctx.Done():
		}
		if time.Until(deadline) < minimum {
			deadline = time.Now().Add(minimum)
		}
	}
	if grace > 0 {
		process.terminate()
		select {
		case <-process.ended:
			return
		case <-time.After(time.Until(deadline)):
		case <-c.pod.removed:
		case <-c.pod.kubelet.ctx.Done():
		}
	}
	process.kill()
	<-process.ended
}

// restarts reports whether the container is to be started again.
func (c *container) restarts(exitCode int32) bool {
	switch c.pod.object.Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return exitCode != 0
	default:
		// An init container has done its work once it succeeds.
		return !c.init || exitCode != 0
	}
}

func (c *container) setWaiting(why blockedError) {
	c.change(func(s *corev1.ContainerStatus) {
		if s.State.Terminated != nil {
			s.LastTerminationState = s.State
		}
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: why.reason, Message: why.message}}
	})
}

func (c *container) setRunning(process *process, attempt int) {
	c.change(func(s *corev1.ContainerStatus) {
		if s.State.Terminated != nil {
			s.LastTerminationState = s.State
		}
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: process.startedAt}}
		s.RestartCount = int32(attempt)
		s.ContainerID = "process://" + strconv.Itoa(process.cmd.Process.Pid)
	})
}

// setEnded writes down how the process has ended.
func (c *container) setEnded(process *process) *corev1.ContainerStateTerminated {
	ended := &corev1.ContainerStateTerminated{
		ExitCode:    process.exitCode,
		Signal:      process.signal,
		Reason:      "Completed",
		StartedAt:   process.startedAt,
		FinishedAt:  metav1.Now(),
		ContainerID: "process://" + strconv.Itoa(process.cmd.Process.Pid),
	}
	if ended.ExitCode != 0 {
		ended.Reason = "Error"
	}
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: ended}
		s.Ready = c.init && ended.ExitCode == 0
		s.Started = new(bool)
	})
	return ended
}

// change changes the container's status, which is then written to the API.
func (c *container) change(f func(*corev1.ContainerStatus)) {
	c.pod.mu.Lock()
	f(&c.status)
	c.pod.mu.Unlock()
	c.pod.statusChanged()
}

// dir is the folder of what the container's processes write and are given beside volumes.
func (c *container) dir() string { return filepath.Join(c.pod.dir, "containers", c.spec.Name) }

func (c *container) logFile(attempt int) string {
	return filepath.Join(c.dir(), fmt.Sprintf("%d.log", attempt))
}

func (c *container) makeDir() error { return os.MkdirAll(c.dir(), 0o700) }

// backoff is how long to wait before each restart of a container.
type backoff struct {
	first time.Duration
	last  time.Duration
	again bool
}

// next returns the wait after a process that has run so long.
func (b *backoff) next(ran time.Duration) time.Duration {
	longest := maxBackoffFactor * b.first
	switch {
	case !b.again || ran > backoffResetFactor*longest:
		b.again, b.last = true, 0
	case b.last == 0:
		b.last = b.first
	default:
		b.last = min(2*b.last, longest)
	}
	return b.last
}
