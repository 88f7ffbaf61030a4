package localcluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// handled are the fields of a pod's spec that are done here, and those that make no difference to a process on this machine, each
// with all that is below it. Any other is refused.
var handled = map[string][]string{
	"": strings.Fields(`restartPolicy terminationGracePeriodSeconds serviceAccountName serviceAccount automountServiceAccountToken
		affinity dnsPolicy enableServiceLinks imagePullSecrets nodeName nodeSelector preemptionPolicy priority priorityClassName
		schedulerName securityContext tolerations topologySpreadConstraints`),
	"volumes": {"name", "emptyDir", "secret", "configMap"},
	"containers": strings.Fields(`name image args ports
		imagePullPolicy resources securityContext terminationMessagePath terminationMessagePolicy`),
	"containers.env":               {"name", "value"},
	"containers.env.valueFrom":     {"fieldRef", "secretKeyRef", "configMapKeyRef"},
	"containers.volumeMounts":      {"name", "mountPath", "readOnly", "recursiveReadOnly"},
	"containers.lifecycle.preStop": {"sleep"},
	"containers.startupProbe":      append([]string{"initialDelaySeconds"}, thresholds...), "containers.startupProbe.httpGet": httpGet,
	"containers.readinessProbe": thresholds, "containers.readinessProbe.httpGet": httpGet,
	"containers.livenessProbe": thresholds, "containers.livenessProbe.httpGet": httpGet,
}

var (
	thresholds = []string{"failureThreshold", "periodSeconds", "successThreshold", "timeoutSeconds"}
	httpGet    = []string{"path", "port", "scheme"}
)

// checkSupport refuses a pod that asks for what this kubelet does not do.
func checkSupport(spec *corev1.PodSpec) error {
	switch {
	case len(spec.Containers) > 1:
		return errors.New("not supported here: more than one container beside init containers")
	case spec.RestartPolicy == corev1.RestartPolicyOnFailure:
		return errors.New("not supported here: restartPolicy OnFailure")
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	if err != nil {
		return fmt.Errorf("reading the pod's fields: %w", err)
	}
	if path := unhandled("", fields); path != "" {
		return fmt.Errorf("not supported here: %s", path)
	}
	return nil
}

// unhandled returns the path of the first field of a value that is not handled, or "".
func unhandled(path string, value any) string {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if slices.Contains(handled[path], key) {
				continue
			}
			below := strings.TrimPrefix(path+"."+key, ".")
			if below == "initContainers" {
				below = "containers"
			}
			if found := unhandled(below, value[key]); found != "" {
				return found
			}
		}
		return ""
	case []any:
		for _, item := range value {
			if found := unhandled(path, item); found != "" {
				return found
			}
		}
		return ""
	default:
		return path
	}
}
