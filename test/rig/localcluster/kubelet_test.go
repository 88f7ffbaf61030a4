package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
)

const (
	testVolumeDelay = time.Second
	// patience bounds every wait of these tests; none comes near it unless something is wrong.
	patience = time.Minute
)

// thePods runs the pods of the shared cluster for all tests that want some.
var thePods = sync.OnceValues(func() (*Kubelet, error) {
	images, err := testImages(filepath.Join(cluster.Dir, "programs"))
	if err != nil {
		return nil, err
	}
	return cluster.RunPods(context.Background(), PodOptions{Images: images, VolumeDelay: testVolumeDelay})
})

// pods returns the kubelet of the shared cluster, which is started by the first test that wants it.
func pods(t *testing.T) *Kubelet {
	t.Helper()
	k, err := thePods()
	require.NoError(t, err)
	return k
}

// testImages builds the stand-in for Kthena into dir.
func testImages(dir string) (Images, error) {
	standin := filepath.Join(dir, "standin")
	build := exec.Command("go", "build", "-o", standin, "../standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the stand-in: %w\n%s", err, output)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return Images{toolImage: self, "kthena-controller-manager": standin, "kthena-router": standin}, nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// tool is a container that runs one of tools.
func tool(name string, args ...string) corev1.Container {
	return corev1.Container{Name: name, Image: "registry.invalid/" + toolImage + ":v1", Args: args}
}

// runPod creates a pod to be run, and returns it as created.
func runPod(t *testing.T, namespace string, spec corev1.PodSpec) *corev1.Pod {
	t.Helper()
	pod, err := cluster.Client.CoreV1().Pods(namespace).Create(
		t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-"}, Spec: spec}, metav1.CreateOptions{},
	)
	require.NoError(t, err)
	return pod
}

// awaitPod waits until the pod is as wanted, and returns it.
func awaitPod(t *testing.T, pod *corev1.Pod, wanted func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	selector := "metadata.name=" + pod.Name
	client := cluster.Client.CoreV1().Pods(pod.Namespace)
	lister := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			o.FieldSelector = selector
			return client.Watch(ctx, o)
		},
	}
	event, err := watchtools.UntilWithSync(ctx, lister, &corev1.Pod{}, nil, func(e apiwatch.Event) (bool, error) {
		seen, ok := e.Object.(*corev1.Pod)
		if !ok {
			return false, fmt.Errorf("unexpected %T", e.Object)
		}
		if e.Type == apiwatch.Deleted {
			return false, errors.New("the pod is gone")
		}
		return wanted(seen), nil
	})
	if err != nil {
		last, _ := client.Get(t.Context(), pod.Name, metav1.GetOptions{})
		require.NoError(t, err, "the pod's status is %+v", last.Status)
	}
	return event.Object.(*corev1.Pod)
}

// awaitGone waits until the pod is out of the API.
func awaitGone(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, await(ctx, "the pod's end", func(ctx context.Context) (bool, error) {
		_, err := cluster.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), ignoreNotFound(err)
	}))
}

func isReady(pod *corev1.Pod) bool {
	return readiness(pod).Status == corev1.ConditionTrue
}

// readiness returns the pod's condition Ready.
func readiness(pod *corev1.Pod) corev1.PodCondition {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c
		}
	}
	return corev1.PodCondition{}
}

// logs returns what a container has written.
func logs(t *testing.T, pod *corev1.Pod, container string) string {
	t.Helper()
	text, err := pods(t).Logs(pod.Namespace, pod.Name, container)
	require.NoError(t, err)
	return string(text)
}

// awaitLog waits until the container main has written text.
func awaitLog(t *testing.T, pod *corev1.Pod, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(logs(t, pod, "main"), text) }, patience, 10*time.Millisecond)
}

const webhookLabel = "app"

var webhookPort = intstr.FromString("webhook")

// webhookDeployment is a Deployment of the stand-in as the chart has it: an init container writes the TLS files.
func webhookDeployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{webhookLabel: name}
	health := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: webhookPort, Scheme: corev1.URISchemeHTTPS}}
	mounts := []corev1.VolumeMount{{Name: "tls", MountPath: "/etc/tls"}}
	init := tool("certificate", "certificate", "/etc/tls", "webhook.$(POD_NAMESPACE).svc")
	init.VolumeMounts = mounts
	init.Env = []corev1.EnvVar{
		{Name: "POD_NAMESPACE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}},
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: ptr.To(intstr.FromInt32(1)), MaxUnavailable: ptr.To(intstr.FromInt32(0))},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					InitContainers: []corev1.Container{init},
					Containers: []corev1.Container{{
						Name:           "manager",
						Image:          "ghcr.io/volcano-sh/kthena-controller-manager:v1.0.0",
						Args:           []string{"--port=8443", "--tls-cert-file=/etc/tls/tls.crt", "--tls-private-key-file=/etc/tls/tls.key"},
						Ports:          []corev1.ContainerPort{{Name: "webhook", ContainerPort: 8443}},
						VolumeMounts:   mounts,
						StartupProbe:   &corev1.Probe{ProbeHandler: health, PeriodSeconds: 1, FailureThreshold: 30},
						ReadinessProbe: &corev1.Probe{ProbeHandler: health, PeriodSeconds: 1, FailureThreshold: 1},
						LivenessProbe:  &corev1.Probe{ProbeHandler: health, PeriodSeconds: 5},
						Lifecycle:      &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 2}}},
					}},
					Volumes: []corev1.Volume{
						{Name: "tls", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
					},
				},
			},
		},
	}
}

// createDeployment creates a Deployment and returns how long it took until all of its pods were available.
func createDeployment(t *testing.T, namespace string, d *appsv1.Deployment) time.Duration {
	t.Helper()
	begun := time.Now()
	_, err := cluster.Client.AppsV1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{})
	require.NoError(t, err)
	awaitDeployment(t, namespace, d.Name)
	return time.Since(begun)
}

// awaitDeployment waits until the Deployment's latest state is what runs, and nothing else.
func awaitDeployment(t *testing.T, namespace, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, await(ctx, "deployment "+name, func(ctx context.Context) (bool, error) {
		d, err := cluster.Client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		s := d.Status
		return s.ObservedGeneration == d.Generation && s.UpdatedReplicas == *d.Spec.Replicas && s.AvailableReplicas == s.UpdatedReplicas &&
			s.Replicas == s.UpdatedReplicas, nil
	}))
}
