package localcluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// watchHealth makes the ports of a process reachable and runs its probes: the startup probe until it has succeeded, then the
// others. The startup and the liveness probe end with ctx; the readiness probe goes on until the process has ended, as it does on
// a node while a pod ends. The channel is closed when the container has to be restarted.
func (c *container) watchHealth(ctx context.Context, process *process) <-chan struct{} {
	if c.init {
		return nil
	}
	background := &c.pod.background
	listening, unhealthy := make(chan struct{}), make(chan struct{})
	background.Go(func() {
		ports, err := c.ports(process)
		if err != nil {
			c.pod.kubelet.logError("reading the ports", c.pod.object, err)
		}
		if process.alive.Err() == nil {
			c.pod.kubelet.cluster.network.attach(c.pod.ip, ports)
		}
		close(listening)
	})
	background.Go(func() {
		healthy := false
		c.poll(ctx, c.spec.StartupProbe, listening, func(ok bool) (done bool) {
			healthy = ok
			return true
		})
		if healthy {
			background.Go(func() {
				c.poll(process.alive, c.spec.ReadinessProbe, listening, func(ok bool) (done bool) {
					c.setReady(process, ok)
					return false
				})
			})
			c.poll(ctx, c.spec.LivenessProbe, nil, func(ok bool) (done bool) {
				healthy = ok
				return !ok
			})
		}
		if !healthy && ctx.Err() == nil {
			close(unhealthy)
		}
	})
	return unhealthy
}

// poll probes again and again, and gives its verdict whenever as many probes in a row as the threshold says have come out the same,
// until the verdict returns true or ctx ends. It starts after the initial delay, and does not wait for the next period when the
// container begins to listen. What has no probe is well.
func (c *container) poll(ctx context.Context, p *corev1.Probe, listening <-chan struct{}, verdict func(ok bool) (done bool)) {
	if p == nil {
		verdict(true)
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(time.Duration(p.InitialDelaySeconds) * time.Second):
	}
	wait := time.Duration(0)
	last, inRow := false, int32(0)
	for {
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
		if ok := err == nil; ok != last {
			last, inRow = ok, 0
		}
		inRow++
		c.pod.inTrouble(err)
		if last && inRow < p.SuccessThreshold || !last && inRow < p.FailureThreshold {
			continue
		}
		if verdict(last) {
			return
		}
	}
}

// probe asks the container once, as the kubelet does: no verification of certificates, and every status below 400 is well.
func (c *container) probe(ctx context.Context, p *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.TimeoutSeconds)*time.Second)
	defer cancel()
	port := c.port(p.HTTPGet.Port)
	url := fmt.Sprintf("%s://%s:%d%s", strings.ToLower(string(p.HTTPGet.Scheme)), c.pod.ip, port, p.HTTPGet.Path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("making a probe's request: %w", err)
	}
	request.Header.Set("User-Agent", "kube-probe")
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.pod.kubelet.cluster.network.connect(ctx, c.pod.ip, port)
		},
	}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("probing container %s: %w", c.spec.Name, err)
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("probing container %s: GET %s: %s", c.spec.Name, url, response.Status)
	}
	return nil
}

// port resolves the port of a probe, which may be the name of one of the container's: 0, where nothing listens, if there is none.
func (c *container) port(port intstr.IntOrString) int32 {
	for _, p := range c.spec.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal {
			return p.ContainerPort
		}
	}
	return port.IntVal
}
