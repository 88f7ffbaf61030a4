package charts

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
)

// perComponent are values that are set for every component.
func perComponent(values string) string {
	return fmt.Sprintf(
		"{registry: {controllerManager: %[1]s}, workload: {controllerManager: %[1]s}, networking: {kthenaRouter: %[1]s}}", values,
	)
}

func TestAPodServesOnAfterItIsToEnd(t *testing.T) {
	for _, c := range []struct {
		name, values   string
		sleep, grace   int64
		router, grace2 int64
	}{
		{"five seconds, the router five minutes, and 30 s more", "{}", 5, 35, 300, 330},
		{"as long as told", perComponent("{preStopSeconds: 60}"), 60, 90, 60, 90},
		{"and is killed when told", perComponent("{preStopSeconds: 60, terminationGracePeriodSeconds: 600}"), 60, 600, 60, 600},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, d := range components(render(t, c.values)) {
				pod := d.Spec.Template.Spec
				sleep, grace := c.sleep, c.grace
				if name == "kthena-router" {
					sleep, grace = c.router, c.grace2
				}
				assert.Equal(t, sleep, pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds, name)
				assert.Equal(t, grace, *pod.TerminationGracePeriodSeconds, name)
			}
		})
	}
	for name, d := range components(render(t, perComponent("{preStopSeconds: 0}"))) {
		assert.Nil(t, d.Spec.Template.Spec.Containers[0].Lifecycle, name)
	}
}

// The port for requests opens when the caches have synced; nothing may kill the pod before.
func TestTheRouterHasStartedWhenItIsReady(t *testing.T) {
	for _, webhook := range []string{"true", "false"} {
		pod := components(render(t, "{networking: {kthenaRouter: {webhook: {enabled: "+webhook+"}}}}"))["kthena-router"].Spec.Template.Spec
		probe := pod.Containers[0].StartupProbe
		require.NotNil(t, probe.HTTPGet)
		assert.Equal(t, "http", probe.HTTPGet.Port.StrVal)
		assert.Equal(t, "/readyz", probe.HTTPGet.Path)
		assert.EqualValues(t, 300, probe.PeriodSeconds*probe.FailureThreshold, "seconds")
	}
}

// cert-manager's CA injector learns of a Certificate's Secret when the first new pod does, and the API server must trust the pod first.
func TestAPodIsReadyAfterTheInjectorInCertManagerMode(t *testing.T) {
	certManager := "{global: {certManagementMode: cert-manager}, "
	for _, c := range []struct {
		name, values string
		seconds      int32
	}{
		{"cert-manager mode", certManager + "}", 2},
		{"cert-manager mode without webhooks", certManager + perComponent("{webhook: {enabled: false}}")[1:], 0},
		{"auto mode", "{}", 0},
		{"manual mode", manual(t, ""), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, d := range components(render(t, c.values)) {
				if probe := d.Spec.Template.Spec.Containers[0].StartupProbe; probe != nil {
					assert.Equal(t, c.seconds, probe.InitialDelaySeconds, name)
				} else {
					assert.Contains(t, c.name, "without webhooks", name)
				}
			}
		})
	}
}

func TestPodsOfAComponentPreferNodesOfTheirOwn(t *testing.T) {
	for name, d := range components(render(t, perComponent("{replicas: 2}"))) {
		preferred := d.Spec.Template.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		require.Len(t, preferred, 1, name)
		assert.Equal(t, "kubernetes.io/hostname", preferred[0].PodAffinityTerm.TopologyKey)
		assert.True(t, selects(preferred[0].PodAffinityTerm.LabelSelector.MatchLabels, d.Spec.Template.ObjectMeta), name)
	}
	for name, d := range components(render(t, "{}")) {
		assert.Nil(t, d.Spec.Template.Spec.Affinity, name)
	}
	for name, d := range components(render(t, perComponent("{replicas: 2, affinity: {nodeAffinity: {}}}"))) {
		assert.Nil(t, d.Spec.Template.Spec.Affinity.PodAntiAffinity, "%s has the user's", name)
	}
}

func TestAnAutoscalerSetsTheNumberOfPods(t *testing.T) {
	objects := render(t, perComponent("{autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 5}}"))
	for name, d := range components(objects) {
		assert.Nil(t, d.Spec.Replicas, name)
		scaler := named[*autoscalingv2.HorizontalPodAutoscaler](t, objects, name)
		assert.Equal(
			t, autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}, scaler.Spec.ScaleTargetRef,
		)
		assert.EqualValues(t, 2, *scaler.Spec.MinReplicas)
		assert.EqualValues(t, 5, scaler.Spec.MaxReplicas)
		assert.Equal(t, corev1.ResourceCPU, scaler.Spec.Metrics[0].Resource.Name)
	}
	objects = render(t, perComponent("{replicas: null}"))
	for name, d := range components(objects) {
		assert.Nil(t, d.Spec.Replicas, name)
	}
	assert.Empty(t, all[*autoscalingv2.HorizontalPodAutoscaler](objects), "it is the user's own")
}

func TestADisruptionBudgetMaySayHowManyStay(t *testing.T) {
	for _, b := range all[*policyv1.PodDisruptionBudget](
		render(t, perComponent("{podDisruptionBudget: {enabled: true, minAvailable: 50%}}")),
	) {
		assert.Equal(t, "50%", b.Spec.MinAvailable.StrVal, b.Name)
		assert.Nil(t, b.Spec.MaxUnavailable, b.Name)
	}
}

func TestWhatIsGivenForPodsReachesThem(t *testing.T) {
	const given = `{extraEnv: [{name: A, value: b}], envFrom: [{secretRef: {name: s}}], extraVolumes: [{name: v, emptyDir: {}}],
		extraVolumeMounts: [{name: v, mountPath: /v}], deploymentAnnotations: {a: b}, serviceAccount: {name: other, annotations: {a: b}},
		podSpec: {hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet, hostAliases: [{ip: 10.0.0.1, hostnames: [a]}]},
		probes: {liveness: {failureThreshold: 9}}}`
	for _, webhook := range []string{"", ", webhook: {enabled: false}"} {
		objects := render(t, perComponent(given[:len(given)-1]+webhook+"}"))
		for name, d := range components(objects) {
			pod := d.Spec.Template.Spec
			server := pod.Containers[0]
			assert.Contains(t, server.Env, corev1.EnvVar{Name: "A", Value: "b"}, name)
			assert.Equal(t, "s", server.EnvFrom[0].SecretRef.Name, name)
			assert.Contains(t, server.VolumeMounts, corev1.VolumeMount{Name: "v", MountPath: "/v"}, name)
			assert.Contains(
				t, pod.Volumes, corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}, name,
			)
			assert.Equal(t, "b", d.Annotations["a"], name)
			assert.Equal(t, "other", pod.ServiceAccountName, name)
			assert.True(t, pod.HostNetwork, name)
			assert.Equal(t, corev1.DNSClusterFirstWithHostNet, pod.DNSPolicy, name)
			assert.Equal(t, "10.0.0.1", pod.HostAliases[0].IP, name)
			if server.LivenessProbe != nil {
				assert.EqualValues(t, 9, server.LivenessProbe.FailureThreshold, name)
				assert.EqualValues(t, 10, server.LivenessProbe.PeriodSeconds, name)
			}
		}
	}
}

func TestCertgenHasTheEnvironmentThatItIsGiven(t *testing.T) {
	objects := render(t, "{global: {certgen: {extraEnv: [{name: GODEBUG, value: fips140=on}]}}}")
	want := []corev1.EnvVar{{Name: "GODEBUG", Value: "fips140=on"}}
	for name, d := range components(objects) {
		assert.Equal(t, want, container(t, d.Spec.Template.Spec.InitContainers, "certgen").Env, name)
	}
	assert.Equal(t, want, named[*corev1.Pod](t, objects, "kthena-verify").Spec.Containers[0].Env)
}

// OpenShift's SCC restricted-v2 sets these from the namespace's annotations, and refuses a pod that asks for others.
func TestOnOpenShiftNoPodSaysWhoItIs(t *testing.T) {
	nulls := "{podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}}"
	for name, values := range map[string]string{"by the preset": "{global: {openshift: true}}", "by nulls": perComponent(nulls)} {
		t.Run(name, func(t *testing.T) {
			for pod, template := range pods(render(t, values)) {
				// These two are certgen's, which has its own part of the values.
				if name == "by nulls" && (pod == "kthena-verify" || pod == "kthena-certgen") {
					continue
				}
				context := template.Spec.SecurityContext
				assert.Nil(t, context.RunAsUser, pod)
				assert.Nil(t, context.RunAsGroup, pod)
				assert.Nil(t, context.FSGroup, pod)
				assert.True(t, *context.RunAsNonRoot, pod)
				assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, context.SeccompProfile.Type, pod)
				for _, c := range containers(template.Spec) {
					assert.Nil(t, c.SecurityContext.RunAsUser, pod)
				}
			}
		})
	}
}
