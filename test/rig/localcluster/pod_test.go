package localcluster

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

func TestDeploymentsBecomeReady(t *testing.T) {
	pods(t)
	for _, replicas := range []int32{1, 3, 9} {
		t.Run(fmt.Sprintf("%d pods with an init container, probes and a token each", replicas), func(t *testing.T) {
			namespace := newNamespace(t)
			t.Logf("ready after %s", createDeployment(t, namespace, webhookDeployment("webhook", replicas)))
			list, err := cluster.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			require.Len(t, list.Items, int(replicas))
			for _, pod := range list.Items {
				assert.Equal(t, corev1.PodRunning, pod.Status.Phase)
				for _, c := range pod.Status.Conditions {
					assert.Equal(t, corev1.ConditionTrue, c.Status, c.Type)
					assert.Empty(t, c.Reason+c.Message, c.Type)
				}
				assert.Zero(t, pod.Status.ContainerStatuses[0].RestartCount)
				assert.Zero(t, pod.Status.InitContainerStatuses[0].State.Terminated.ExitCode)
			}
		})
	}
}

func TestRollingUpdateMeetsNoClosedPort(t *testing.T) {
	pods(t)
	namespace := newNamespace(t)
	client := cluster.Client
	bundle, err := gen.Generate(
		gen.Spec{DNSNames: []string{"webhook." + namespace + ".svc"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now(),
	)
	require.NoError(t, err)
	_, err = client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "webhook"},
		Data:       map[string][]byte{"tls.crt": bundle.Cert, "tls.key": bundle.Key},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	// All pods have to have one CA, so they take their files from a Secret.
	deployment := webhookDeployment("webhook", 3)
	deployment.Spec.Template.Spec.InitContainers = nil
	deployment.Spec.Template.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "webhook"}}
	createDeployment(t, namespace, deployment)
	_, err = client.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "webhook"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{webhookLabel: "webhook"}, Ports: []corev1.ServicePort{{Port: 443, TargetPort: webhookPort}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(
		t.Context(), webhookConfiguration(namespace, bundle.CA), metav1.CreateOptions{},
	)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(
			t, client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(context.Background(), namespace, metav1.DeleteOptions{}),
		)
	})
	call := func(annotations map[string]string) error {
		_, err := client.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Annotations: annotations},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	// The API server takes a moment to learn of the configuration, and the proxy to learn of the endpoints.
	refused := fmt.Sprintf(
		"admission webhook %q denied the request: refused by /validate/modelbooster: annotation kthena.test/refuse is set", "probe.kthena.test",
	)
	require.Eventually(t, func() bool {
		err := call(map[string]string{"kthena.test/refuse": "true"})
		return err != nil && err.Error() == refused
	}, patience, 20*time.Millisecond)

	sent, failures := 0, []error(nil)
	rolled, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for ; ; sent++ {
			select {
			case <-rolled:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if err := call(nil); err != nil {
				failures = append(failures, err)
			}
		}
	}()
	patch := `{"spec":{"template":{"metadata":{"annotations":{"roll":"1"}}}}}`
	_, err = client.AppsV1().Deployments(namespace).Patch(
		t.Context(), "webhook", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{},
	)
	require.NoError(t, err)
	awaitDeployment(t, namespace, "webhook")
	// The old pods have to be gone, too: a call may fail when one ends.
	require.NoError(t, await(t.Context(), "the end of the old pods", func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 3, err
	}))
	close(rolled)
	<-ended
	t.Logf("%d calls sent, %d failed", sent, len(failures))
	// A server that ends closes its connections, and the API server may be about to send a call over one of them.
	limit := probe.Report{Sent: sent}.ClosedLimit()
	broken := slices.DeleteFunc(slices.Clone(failures), func(err error) bool { return probe.Closed(err.Error()) })
	require.Empty(t, broken)
	assert.LessOrEqual(t, len(failures), limit)
	assert.Positive(t, sent) // how many depends on the machine
}

// webhookConfiguration sends the creation of ConfigMaps of the namespace to its webhook.
func webhookConfiguration(namespace string, ca []byte) *admissionregistrationv1.ValidatingWebhookConfiguration {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:                    "probe.kthena.test",
			AdmissionReviewVersions: []string{"v1"},
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				CABundle: ca,
				Service:  &admissionregistrationv1.ServiceReference{Namespace: namespace, Name: "webhook", Path: ptr.To("/validate/modelbooster")},
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}
}

func TestContainersRestart(t *testing.T) {
	pods(t)
	namespace := newNamespace(t)

	t.Run("an init container that fails is started again, at once and then after a wait, and its restarts are counted", func(t *testing.T) {
		init := tool("init", "count", "/data/runs", "3")
		init.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
		begun := time.Now()
		pod := runPod(t, namespace, corev1.PodSpec{
			InitContainers: []corev1.Container{init},
			Containers:     []corev1.Container{tool("main", "serve")},
			Volumes:        []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		})
		awaitPod(t, pod, func(p *corev1.Pod) bool {
			s := p.Status.InitContainerStatuses
			return len(s) > 0 && s[0].RestartCount == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "CrashLoopBackOff"
		})
		assert.Less(t, time.Since(begun), firstBackoff)
		pod = awaitPod(t, pod, isReady)
		assert.GreaterOrEqual(t, time.Since(begun), firstBackoff)
		assert.Equal(t, int32(2), pod.Status.InitContainerStatuses[0].RestartCount)
		assert.Equal(t, "run 1 fails\nrun 2 fails\n", logs(t, pod, "init"))
	})

	for what, probes := range map[string]func(*corev1.Container, *corev1.Probe){
		"startup":  func(c *corev1.Container, p *corev1.Probe) { c.StartupProbe = p },
		"liveness": func(c *corev1.Container, p *corev1.Probe) { c.LivenessProbe = p },
	} {
		t.Run(fmt.Sprintf("a container whose %s probe fails is restarted", what), func(t *testing.T) {
			c := tool("main", "serve")
			probes(
				&c,
				&corev1.Probe{
					ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: webhookPort}}, PeriodSeconds: 1, FailureThreshold: 1,
				},
			)
			c.Ports = []corev1.ContainerPort{{Name: "webhook", ContainerPort: 8443}}
			awaitPod(t, runPod(t, namespace, corev1.PodSpec{Containers: []corev1.Container{c}}), func(p *corev1.Pod) bool {
				return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].RestartCount > 0
			})
		})
	}

	t.Run("a container that listens at once is not ready before the initial delay of its startup probe", func(t *testing.T) {
		spec := webhookDeployment("delayed", 1).Spec.Template.Spec
		spec.Containers[0].StartupProbe.InitialDelaySeconds = 2
		pod := awaitPod(t, runPod(t, namespace, spec), isReady)
		started := pod.Status.ContainerStatuses[0].State.Running.StartedAt
		assert.GreaterOrEqual(t, time.Since(started.Time), 2*time.Second)
	})

	for runs, phase := range map[string]corev1.PodPhase{"1": corev1.PodSucceeded, "2": corev1.PodFailed} {
		t.Run(fmt.Sprintf("a pod that is not to be restarted and works in run %s ends as %s", runs, phase), func(t *testing.T) {
			c := tool("main", "count", "/data/runs", runs)
			c.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
			awaitPod(t, runPod(t, namespace, corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{c},
				Volumes:       []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			}), func(p *corev1.Pod) bool { return p.Status.Phase == phase })
		})
	}
}

func TestPodsEnd(t *testing.T) {
	pods(t)
	namespace := newNamespace(t)

	t.Run("preStop sleeps, then comes SIGTERM, and the pod leaves the API", func(t *testing.T) {
		c := tool("main", "serve")
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
		pod := awaitPod(t, runPod(t, namespace, corev1.PodSpec{Containers: []corev1.Container{c}}), isReady)
		awaitLog(t, pod, "serving")
		begun := time.Now()
		require.NoError(t, cluster.Client.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
		awaitGone(t, pod)
		match := regexp.MustCompile(`SIGTERM (\d+)\n$`).FindStringSubmatch(logs(t, pod, "main"))
		require.NotNil(t, match)
		at, err := strconv.ParseInt(match[1], 10, 64)
		require.NoError(t, err)
		assert.WithinRange(t, time.UnixMilli(at), begun.Add(time.Second), begun.Add(5*time.Second))
	})

	t.Run("a process that does not end gets SIGKILL when the grace period is over", func(t *testing.T) {
		pod := awaitPod(t, runPod(t, namespace, corev1.PodSpec{
			Containers:                    []corev1.Container{tool("main", "serve", "deaf")},
			TerminationGracePeriodSeconds: ptr.To[int64](1),
		}), isReady)
		awaitLog(t, pod, "serving")
		begun := time.Now()
		require.NoError(t, cluster.Client.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
		awaitGone(t, pod)
		assert.GreaterOrEqual(t, time.Since(begun), time.Second)
		assert.Contains(t, logs(t, pod, "main"), "SIGTERM")
	})
}
