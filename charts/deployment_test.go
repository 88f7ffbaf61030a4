package charts

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
)

func TestArgumentsOfCertgen(t *testing.T) {
	objects := render(t, "{global: {clusterDomain: k8s.example.com}}")
	for deployment, c := range map[string]struct {
		subchart       string
		configurations []string
	}{
		"kthena-registry": {"registry", []string{
			"--mutating-webhook-configuration=kthena-registry-mutating-webhook",
			"--validating-webhook-configuration=kthena-registry-validating-webhook",
		}},
		"kthena-workload": {"workload", []string{"--validating-webhook-configuration=kthena-workload-validating-webhook"}},
		"kthena-router":   {"networking", []string{"--validating-webhook-configuration=kthena-networking-validating-webhook"}},
	} {
		t.Run(deployment, func(t *testing.T) {
			want := []string{
				"bootstrap",
				"--namespace=kthena-system",
				"--secret-name=" + c.subchart + "-webhook-certs-auto",
				"--dns-name=" + c.subchart + "-webhook.kthena-system.svc",
				"--dns-name=" + c.subchart + "-webhook.kthena-system.svc.k8s.example.com",
			}
			want = append(want, c.configurations...)
			want = append(want,
				"--await-annotation=certgen.kthena.volcano.sh/webhooks="+
					deployments(objects)[deployment].Spec.Template.Annotations["checksum/webhooks"],
				"--webhook-patience=15s",
				"--output-dir=/certs",
				"--validity=87600h",
				"--renew-before=0s",
				"--key-algorithm=ECDSA",
				"--key-size=0",
				"--timeout=2m",
				"--label=app.kubernetes.io/part-of=kthena",
				"--label=app.kubernetes.io/component="+deployment,
			)
			certgen := container(t, deployments(objects)[deployment].Spec.Template.Spec.InitContainers, "certgen")
			assert.Equal(t, want, certgen.Args)
			assert.Empty(t, certgen.Command, "the image's entrypoint is the program")
			assert.Equal(t, "ghcr.io/volcano-sh/kthena-certgen:v0.1.0", certgen.Image)
		})
	}
}

// The server reads what certgen has written, cannot change it, and names a Secret that it may not read.
func TestServersServeTheFilesOfCertgen(t *testing.T) {
	objects := render(t, "{}")
	for deployment, flags := range map[string][]string{
		"kthena-registry": {
			"--enable-webhook=true", "--port=8443", "--tls-cert-file=/etc/tls/tls.crt", "--tls-private-key-file=/etc/tls/tls.key",
			"--service-name=registry-webhook", "--cert-secret-name=registry-webhook-certs", "--controllers=modelbooster,autoscaler",
		},
		"kthena-workload": {
			"--enable-webhook=true", "--port=8443", "--tls-cert-file=/etc/tls/tls.crt", "--tls-private-key-file=/etc/tls/tls.key",
			"--service-name=workload-webhook", "--cert-secret-name=workload-webhook-certs", "--controllers=modelserving",
		},
		"kthena-router": {
			"--enable-webhook=true", "--webhook-port=8443", "--webhook-tls-cert-file=/etc/tls/tls.crt",
			"--webhook-tls-private-key-file=/etc/tls/tls.key", "--webhook-service-name=networking-webhook",
			"--cert-secret-name=networking-webhook-certs", "--port=8080",
		},
	} {
		t.Run(deployment, func(t *testing.T) {
			pod := deployments(objects)[deployment].Spec.Template.Spec
			certgen := container(t, pod.InitContainers, "certgen")
			require.Len(t, certgen.VolumeMounts, 1)
			assert.False(t, certgen.VolumeMounts[0].ReadOnly)
			assert.Contains(t, certgen.Args, "--output-dir="+certgen.VolumeMounts[0].MountPath)

			server := pod.Containers[0]
			assert.Subset(t, server.Args, flags)
			assert.Contains(t, server.VolumeMounts, corev1.VolumeMount{
				Name: certgen.VolumeMounts[0].Name, MountPath: "/etc/tls", ReadOnly: true,
			})
			for _, v := range pod.Volumes {
				if v.Name == certgen.VolumeMounts[0].Name {
					require.NotNil(t, v.EmptyDir)
					assert.Equal(t, corev1.StorageMediumMemory, v.EmptyDir.Medium, "a private key never reaches a disk")
				}
				assert.Nil(t, v.Secret, "a Secret's volume appears late")
			}
		})
	}
}

func TestARollingUpdateNeverLeavesTheWebhookWithoutAPod(t *testing.T) {
	for name, d := range components(render(t, "{}")) {
		t.Run(name, func(t *testing.T) {
			rolling := d.Spec.Strategy.RollingUpdate
			require.NotNil(t, rolling)
			assert.Equal(t, 0, rolling.MaxUnavailable.IntValue())
			assert.Equal(t, 1, rolling.MaxSurge.IntValue())

			server := d.Spec.Template.Spec.Containers[0]
			require.NotNil(t, server.Lifecycle)
			require.NotNil(t, server.Lifecycle.PreStop.Sleep)
			grace := *d.Spec.Template.Spec.TerminationGracePeriodSeconds
			// The router gives requests 15 s after the sleep, the controller-manager 5 s.
			assert.GreaterOrEqual(t, grace, server.Lifecycle.PreStop.Sleep.Seconds+20)

			require.NotNil(t, server.StartupProbe)
			ready := server.ReadinessProbe.PeriodSeconds * server.ReadinessProbe.FailureThreshold
			live := server.LivenessProbe.PeriodSeconds * server.LivenessProbe.FailureThreshold
			assert.Less(t, ready, live, "calls stop before the container is restarted")
		})
	}
}

func TestEveryObjectCarriesTheLabels(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, o := range renderOptions(t, c.options) {
				if o.GetName() == "extra" {
					continue // the user's own
				}
				labels := o.GetLabels()
				assert.Equal(t, "kthena", labels["app.kubernetes.io/name"], identity(o))
				assert.Equal(t, c.options.Release, labels["app.kubernetes.io/instance"], identity(o))
				assert.Equal(t, "v1.0.0", labels["app.kubernetes.io/version"], identity(o))
				assert.Contains(
					t, []string{"kthena", "kthena-registry", "kthena-workload", "kthena-router", "kthena-verify", "kthena-certgen"},
					labels["app.kubernetes.io/component"], identity(o),
				)
				assert.Equal(t, "kthena", labels["app.kubernetes.io/part-of"], identity(o))
				assert.Equal(t, "Helm", labels["app.kubernetes.io/managed-by"], identity(o))
				assert.Regexp(t, `^(kthena|registry|workload|networking)-0\.1\.0$`, labels["helm.sh/chart"], identity(o))
			}
		})
	}
}

// A Deployment's selector cannot be changed, so nothing that changes may be in it.
func TestSelectorsAreStable(t *testing.T) {
	for _, values := range []string{
		"{}", `{workload: {controllerManager: {replicas: 3, podLabels: {app.kubernetes.io/component: other, a: b}}}}`,
	} {
		d := deployments(render(t, values))["kthena-workload"]
		want := map[string]string{
			"app.kubernetes.io/name":      "kthena",
			"app.kubernetes.io/instance":  "kthena",
			"app.kubernetes.io/component": "kthena-workload",
		}
		assert.Equal(t, want, d.Spec.Selector.MatchLabels)
		assert.True(t, selects(want, d.Spec.Template.ObjectMeta), "a user's label cannot take a pod from its Deployment")
	}
}

func TestOnRequestThereIsADisruptionBudgetAndANetworkPolicy(t *testing.T) {
	byDefault := render(t, "{}")
	assert.Empty(t, all[*policyv1.PodDisruptionBudget](byDefault))
	assert.Empty(t, all[*networkingv1.NetworkPolicy](byDefault))

	const on = "{podDisruptionBudget: {enabled: true}, networkPolicy: {enabled: true}}"
	objects := render(
		t, fmt.Sprintf("{registry: {controllerManager: %[1]s}, workload: {controllerManager: %[1]s}, networking: {kthenaRouter: %[1]s}}", on),
	)
	for name, ports := range map[string][]string{
		"kthena-registry": {"webhook"}, "kthena-workload": {"webhook"}, "kthena-router": {"http", "webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			template := deployments(objects)[name].Spec.Template.ObjectMeta
			budget := named[*policyv1.PodDisruptionBudget](t, objects, name)
			assert.True(t, selects(budget.Spec.Selector.MatchLabels, template))
			assert.Equal(t, 1, budget.Spec.MaxUnavailable.IntValue())

			np := named[*networkingv1.NetworkPolicy](t, objects, name)
			assert.True(t, selects(np.Spec.PodSelector.MatchLabels, template))
			assert.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, np.Spec.PolicyTypes)
			assert.Equal(t, []networkingv1.NetworkPolicyEgressRule{{}}, np.Spec.Egress, "open")
			require.Len(t, np.Spec.Ingress, 1)
			assert.Empty(t, np.Spec.Ingress[0].From, "the API server is no pod")
			var got []string
			for _, p := range np.Spec.Ingress[0].Ports {
				got = append(got, p.Port.StrVal)
			}
			assert.Equal(t, ports, got)
		})
	}
}

func TestWhereAComponentHasANetworkPolicyTheControllerAndThePodOfHelmTestHaveOne(t *testing.T) {
	for _, component := range []string{"registry: {controllerManager", "workload: {controllerManager", "networking: {kthenaRouter"} {
		t.Run(component, func(t *testing.T) {
			objects := render(t, "{"+component+": {networkPolicy: {enabled: true}}}}")
			require.Len(t, all[*networkingv1.NetworkPolicy](objects), 3)
			named[*networkingv1.NetworkPolicy](t, objects, "kthena-certgen")
			np := named[*networkingv1.NetworkPolicy](t, objects, "kthena-verify")
			pod := named[*corev1.Pod](t, objects, "kthena-verify")
			assert.True(t, selects(np.Spec.PodSelector.MatchLabels, pod.ObjectMeta))
			assert.Equal(t, []networkingv1.NetworkPolicyEgressRule{{}}, np.Spec.Egress, "open")
			assert.Empty(t, np.Spec.Ingress, "nobody calls it")
			for name, d := range deployments(objects) {
				assert.False(t, selects(np.Spec.PodSelector.MatchLabels, d.Spec.Template.ObjectMeta), name)
			}
		})
	}
}

func TestTheRegistryReplacesTheHostOfEveryImage(t *testing.T) {
	objects := render(t, "{global: {imageRegistry: registry.example.com:5000}}")
	for _, d := range all[*appsv1.Deployment](objects) {
		for _, c := range containers(d.Spec.Template.Spec) {
			assert.Regexp(t, `^registry\.example\.com:5000/volcano-sh/kthena-[a-z-]+:v[0-9.]+$`, c.Image)
		}
	}
	images := named[*corev1.ConfigMap](t, objects, "model-booster-controller-config").Data
	assert.Equal(t, map[string]string{
		"model_serving_downloader_image": "registry.example.com:5000/volcano-sh/downloader:v1.0.0",
		"model_serving_runtime_image":    "registry.example.com:5000/volcano-sh/runtime:v1.0.0",
	}, images)
}

func TestADigestWinsOverTheTag(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	objects := render(t, "{workload: {controllerManager: {image: {tag: v9.9.9, digest: '"+digest+"'}}}}")
	assert.Equal(t, "ghcr.io/volcano-sh/kthena-controller-manager@"+digest,
		deployments(objects)["kthena-workload"].Spec.Template.Spec.Containers[0].Image)
}
