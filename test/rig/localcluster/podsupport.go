package localcluster

import (
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// unsupported names the first thing that the pod asks for and this kubelet does not do, or returns "". What makes no difference to
// a process on this machine (resources, placement, security contexts, read-only mounts) is not looked at.
func unsupported(spec *corev1.PodSpec) string {
	switch {
	case spec.HostNetwork:
		return "hostNetwork"
	case spec.HostPID:
		return "hostPID"
	case len(spec.ReadinessGates) > 0:
		return "readinessGates"
	case len(spec.ResourceClaims) > 0:
		return "resourceClaims"
	}
	for _, v := range spec.Volumes {
		if v.EmptyDir == nil && v.Secret == nil && v.ConfigMap == nil {
			return fmt.Sprintf("volume %s: its type: only emptyDir, secret and configMap are supported", v.Name)
		}
		for _, item := range volumeItems(v) {
			if item.Path != filepath.Base(item.Path) {
				return fmt.Sprintf("volume %s: the path %s: only files at the top are supported", v.Name, item.Path)
			}
		}
	}
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != nil {
			return fmt.Sprintf("container %s: a restartPolicy of its own", c.Name)
		}
		if what := unsupportedInContainer(c); what != "" {
			return fmt.Sprintf("container %s: %s", c.Name, what)
		}
	}
	for _, c := range spec.Containers {
		if what := unsupportedInContainer(c); what != "" {
			return fmt.Sprintf("container %s: %s", c.Name, what)
		}
	}
	return ""
}

func unsupportedInContainer(c corev1.Container) string {
	switch {
	case c.WorkingDir != "":
		return "workingDir"
	case len(c.EnvFrom) > 0:
		return "envFrom"
	case len(c.VolumeDevices) > 0:
		return "volumeDevices"
	}
	for _, e := range c.Env {
		if from := e.ValueFrom; from != nil && from.FieldRef == nil && from.SecretKeyRef == nil && from.ConfigMapKeyRef == nil {
			return fmt.Sprintf("env %s: its source: only fieldRef, secretKeyRef and configMapKeyRef are supported", e.Name)
		}
	}
	for _, m := range c.VolumeMounts {
		if m.SubPath != "" || m.SubPathExpr != "" {
			return fmt.Sprintf("mount of volume %s: subPath", m.Name)
		}
	}
	if l := c.Lifecycle; l != nil {
		switch {
		case l.PostStart != nil:
			return "lifecycle.postStart"
		case l.PreStop != nil && l.PreStop.Sleep == nil:
			return "lifecycle.preStop: only sleep is supported"
		case l.StopSignal != nil:
			return "lifecycle.stopSignal"
		}
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		switch {
		case p == nil:
		case p.HTTPGet == nil && p.TCPSocket == nil:
			return "a probe: only httpGet and tcpSocket are supported"
		case p.HTTPGet != nil && p.HTTPGet.Host != "", p.TCPSocket != nil && p.TCPSocket.Host != "":
			return "a probe: host"
		case p.TerminationGracePeriodSeconds != nil:
			return "a probe: terminationGracePeriodSeconds"
		}
	}
	return ""
}
