package localcluster

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// What users ask the kubelet for goes through the API server, as kubectl sends it.
func TestTheAPIServerReachesTheKubelet(t *testing.T) {
	pods(t)
	namespace := newNamespace(t)
	pod := runPod(t, namespace, corev1.PodSpec{Containers: []corev1.Container{{
		Name: "router", Image: "ghcr.io/volcano-sh/kthena-router:v1.0.0", Args: []string{"--enable-webhook=false"},
		Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
		ReadinessProbe: &corev1.Probe{
			PeriodSeconds:  1,
			TimeoutSeconds: 5,
			ProbeHandler:   corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8080)}},
		},
	}}})
	pod = awaitPod(t, pod, func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].Ready
	})

	t.Run("for a pod's log", func(t *testing.T) {
		log, err := cluster.Client.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		require.NoError(t, err)
		assert.Contains(t, string(log), `"msg":"serving"`)
	})
	t.Run("for a connection to a pod, whatever keeps others out", func(t *testing.T) {
		cluster.Isolate(pod.Status.PodIP, true)
		_, err := cluster.DialPod(t.Context(), pod.Status.PodIP, 8080)
		assert.ErrorContains(t, err, "connection refused by a policy")
		assert.Equal(t, "ok\n", getForwarded(t, pod, 8080))
		cluster.Isolate(pod.Status.PodIP, false)
		conn, err := cluster.DialPod(t.Context(), pod.Status.PodIP, 8080)
		require.NoError(t, err)
		assert.NoError(t, conn.Close())
	})
}

// getForwarded gets /healthz from a pod by client-go's port forwarding.
func getForwarded(t *testing.T, pod *corev1.Pod, port int) string {
	t.Helper()
	transport, upgrader, err := spdy.RoundTripperFor(cluster.Config)
	require.NoError(t, err)
	request := cluster.Client.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name)
	url := request.SubResource("portforward").URL()
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var messages strings.Builder
	forwarder, err := portforward.New(
		spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url), []string{fmt.Sprintf("0:%d", port)}, stop, ready,
		io.Discard, &messages,
	)
	require.NoError(t, err)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		require.NoError(t, err)
	}
	ports, err := forwarder.GetPorts()
	require.NoError(t, err)
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", ports[0].Local))
	require.NoError(t, err, "%s", &messages)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	close(stop)
	require.NoError(t, <-ended)
	return string(body)
}
