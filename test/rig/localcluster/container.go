package localcluster

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Rules of the kubelet for a container that ends again and again: the first restart is at once, and the wait before each other is
// twice as long as the one before.
const (
	firstBackoff   = 10 * time.Second
	longestBackoff = 5 * time.Minute
)

// minimumGrace is what the kubelet leaves to a process whatever preStop has taken.
const minimumGrace = 2 * time.Second

// container is one container of a pod over all of its restarts.
type container struct {
	pod    *pod
	spec   corev1.Container
	init   bool
	status corev1.ContainerStatus // guarded by the pod's lock
}

func newContainer(p *pod, spec corev1.Container, init bool) *container {
	return &container{pod: p, spec: spec, init: init, status: corev1.ContainerStatus{
		Name: spec.Name, Image: spec.Image, State: waiting("ContainerCreating"),
	}}
}

func waiting(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
}

// run runs the container until it has done its work, and returns true, or until that cannot be any more.
func (c *container) run() (done bool) {
	p := c.pod
	again := p.object.Spec.RestartPolicy == corev1.RestartPolicyAlways
	for attempt, wait := int32(0), time.Duration(0); ; attempt++ {
		process := c.start(attempt)
		if process == nil {
			return false
		}
		c.attend(process)
		c.setEnded(process)
		switch {
		case p.life.Err() != nil:
			return false
		case process.exitCode == 0 && (c.init || !again):
			return true
		case !again:
			return false
		}
		if attempt > 0 {
			wait = min(max(2*wait, firstBackoff), longestBackoff)
			c.change(func(s *corev1.ContainerStatus) { s.State = waiting("CrashLoopBackOff") })
		}
		sleep(p.life, wait)
	}
}

// start starts the container's process as soon as that is possible, or returns nil when the pod's life ends before.
func (c *container) start(attempt int32) *process {
	for p := c.pod; p.life.Err() == nil; sleep(p.life, retryInterval) {
		process, err := c.startProcess(p.life)
		if err == nil {
			c.setRunning(process, attempt)
			return process
		}
		c.change(func(s *corev1.ContainerStatus) { s.State = waiting("CreateContainerError") })
		p.inTrouble(err)
	}
	return nil
}

// attend watches over the process until it has ended: by itself, because it is not alive, or because the pod's life ends.
func (c *container) attend(process *process) {
	p := c.pod
	probing, stopProbing := context.WithCancel(p.life)
	defer stopProbing()
	unhealthy := c.watchHealth(probing, process)
	select {
	case <-process.alive.Done():
	case <-unhealthy:
		c.stop(process, time.Duration(ptr.Deref(p.object.Spec.TerminationGracePeriodSeconds, 0))*time.Second)
	case <-p.life.Done():
		p.mu.Lock()
		grace := p.grace
		p.mu.Unlock()
		c.stop(process, grace)
	}
	p.kubelet.cluster.network.attach(p.ip, nil)
}

// stop ends the process as the kubelet does: preStop, SIGTERM, and SIGKILL when the grace period, which both share, is over.
func (c *container) stop(process *process, grace time.Duration) {
	known, cancel := context.WithCancel(process.alive)
	defer cancel()
	defer context.AfterFunc(c.pod.known, cancel)()
	deadline := time.Now().Add(grace)
	if l := c.spec.Lifecycle; l != nil && l.PreStop != nil && grace > 0 {
		sleep(known, min(grace, time.Duration(l.PreStop.Sleep.Seconds)*time.Second))
		if time.Until(deadline) < minimumGrace {
			deadline = time.Now().Add(minimumGrace)
		}
	}
	if grace > 0 {
		process.terminate()
		sleep(known, time.Until(deadline))
	}
	process.kill()
	<-process.alive.Done()
}

func (c *container) setRunning(process *process, attempt int32) {
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: process.startedAt}}
		// By it a test of the costs finds the process.
		s.ContainerID = fmt.Sprintf("process://%d", process.cmd.Process.Pid)
		s.RestartCount = attempt
		if !c.init {
			c.pod.phase = corev1.PodRunning
		}
	})
}

// setReady says whether the container of a process that still runs is ready.
func (c *container) setReady(process *process, ready bool) {
	c.change(func(s *corev1.ContainerStatus) {
		if process.alive.Err() == nil {
			s.Ready = ready
		}
	})
}

// setEnded writes down how the process has ended.
func (c *container) setEnded(process *process) {
	ended := &corev1.ContainerStateTerminated{
		ExitCode: process.exitCode, Reason: "Completed", StartedAt: process.startedAt, FinishedAt: metav1.Now(),
	}
	if ended.ExitCode != 0 {
		ended.Reason = "Error"
	}
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: ended}
		s.Ready = c.init && ended.ExitCode == 0
	})
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

// logFile is what all processes of the container write to, one after the other.
func (c *container) logFile() string { return filepath.Join(c.dir(), "log") }
