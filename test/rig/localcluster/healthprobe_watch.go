package localcluster

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// watchHealth runs the probes of a process: the startup probe until it has succeeded, then the others. The startup and the liveness
// probe end with ctx; the readiness probe goes on until the process has ended, as it does on a node while a pod ends. The channel
// is closed when the container has to be restarted.
func (c *container) watchHealth(ctx context.Context, process *process) <-chan struct{} {
	alive, cancel := context.WithCancel(c.pod.kubelet.ctx)
	background := &c.pod.background
	background.Go(func() {
		<-process.ended
		cancel()
	})
	listening := make(chan struct{})
	if len(c.spec.Ports) > 0 && !c.init {
		background.Go(func() {
			c.awaitPorts(alive)
			close(listening)
		})
	}
	unhealthy := make(chan struct{})
	background.Go(func() {
		if !c.awaitStart(ctx, listening) {
			if ctx.Err() == nil {
				close(unhealthy)
			}
			return
		}
		c.change(func(s *corev1.ContainerStatus) {
			*s.Started = true
			s.Ready = !c.init && c.spec.ReadinessProbe == nil
		})
		background.Go(func() { c.watchReadiness(alive, listening) })
		if c.awaitIllness(ctx) {
			close(unhealthy)
		}
	})
	return unhealthy
}

// awaitStart reports whether the container has started, by its startup probe, before it failed too often or ctx ended.
func (c *container) awaitStart(ctx context.Context, listening <-chan struct{}) (started bool) {
	if c.spec.StartupProbe == nil {
		return ctx.Err() == nil
	}
	c.poll(ctx, "Startup", c.spec.StartupProbe, listening, func(ok bool) bool {
		started = ok
		return true
	})
	return started
}

// watchReadiness keeps the container's readiness up to date until ctx ends.
func (c *container) watchReadiness(ctx context.Context, listening <-chan struct{}) {
	if c.spec.ReadinessProbe == nil {
		return
	}
	c.poll(ctx, "Readiness", c.spec.ReadinessProbe, listening, func(ok bool) bool {
		c.change(func(s *corev1.ContainerStatus) { s.Ready = ok && s.State.Running != nil })
		return false
	})
}

// awaitIllness reports whether the container's liveness probe has failed too often before ctx ended.
func (c *container) awaitIllness(ctx context.Context) (ill bool) {
	if c.spec.LivenessProbe == nil {
		return false
	}
	c.poll(ctx, "Liveness", c.spec.LivenessProbe, nil, func(ok bool) bool {
		ill = !ok
		return ill
	})
	return ill
}

// poll probes again and again, and gives its verdict whenever as many probes in a row as the threshold says have come out the same,
// until the verdict returns true or ctx ends. It starts after the probe's initial delay, at once when that is zero, and does not
// wait for the next period when the container begins to listen.
func (c *container) poll(ctx context.Context, kind string, p *corev1.Probe, listening <-chan struct{}, verdict func(ok bool) (done bool)) {
	wait := time.Duration(p.InitialDelaySeconds) * time.Second
	if wait > 0 {
		listening = nil
	}
	var last bool
	for inRow := int32(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-listening:
			listening = nil
		case <-time.After(wait):
		}
		wait = time.Duration(p.PeriodSeconds) * time.Second
		err := c.probe(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if ok := err == nil; ok != last || inRow == 0 {
			last, inRow = ok, 0
		}
		inRow++
		if last && inRow < p.SuccessThreshold || !last && inRow < p.FailureThreshold {
			continue
		}
		if !last && inRow == p.FailureThreshold {
			c.pod.event(corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %v", kind, err)
		}
		if verdict(last) {
			return
		}
	}
}
