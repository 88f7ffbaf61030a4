package charts

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func TestHelmTestRunsVerify(t *testing.T) {
	for name, values := range map[string]string{
		"auto": "{}", "cert-manager": "{global: {certManagementMode: cert-manager}}", "manual": manual(t, ""),
	} {
		t.Run("in mode "+name, func(t *testing.T) {
			pod := named[*corev1.Pod](t, render(t, values), "kthena-verify")
			assert.Equal(t, corev1.RestartPolicyNever, pod.Spec.RestartPolicy)
			require.Len(t, pod.Spec.Containers, 1)
			assert.Equal(t, []string{"verify", "--namespace=" + namespace, "--release=" + release}, pod.Spec.Containers[0].Args)
			assert.Empty(t, pod.Spec.Volumes)
		})
	}
	t.Run("with the image of the init container", func(t *testing.T) {
		objects := render(
			t, `{global: {imagePullSecrets: [{name: pull}], certgen: {image: {repository: example.com/certgen, tag: v2, pullPolicy: Never}}}}`,
		)
		pod := named[*corev1.Pod](t, objects, "kthena-verify")
		certgen := container(t, deployments(objects)["kthena-registry"].Spec.Template.Spec.InitContainers, "certgen")
		verify := pod.Spec.Containers[0]
		assert.Equal(t, "example.com/certgen:v2", verify.Image)
		assert.Equal(t, certgen.Image, verify.Image)
		assert.Equal(t, certgen.ImagePullPolicy, verify.ImagePullPolicy)
		assert.Equal(t, certgen.Resources, verify.Resources)
		assert.Equal(t, []corev1.LocalObjectReference{{Name: "pull"}}, pod.Spec.ImagePullSecrets)
	})
	t.Run("and is no pod of a component", func(t *testing.T) {
		objects := render(t, "{}")
		pod := named[*corev1.Pod](t, objects, "kthena-verify")
		for _, s := range all[*corev1.Service](objects) {
			assert.False(t, selects(s.Spec.Selector, pod.ObjectMeta), s.Name)
		}
	})
	t.Run("and has no proxy of a mesh beside it, unless it is told to", func(t *testing.T) {
		pod := named[*corev1.Pod](t, render(t, "{}"), "kthena-verify")
		assert.Equal(t, "false", pod.Labels["sidecar.istio.io/inject"])
		assert.Equal(t, "disabled", pod.Annotations["linkerd.io/inject"])
		pod = named[*corev1.Pod](
			t, render(t, `{global: {helmTest: {podLabels: {sidecar.istio.io/inject: "true"}, podAnnotations: {linkerd.io/inject: enabled}}}}`),
			"kthena-verify",
		)
		assert.Equal(t, "true", pod.Labels["sidecar.istio.io/inject"])
		assert.Equal(t, "enabled", pod.Annotations["linkerd.io/inject"])
	})
	t.Run("where it is told to", func(t *testing.T) {
		pod := named[*corev1.Pod](
			t, render(t, `{global: {helmTest: {nodeSelector: {a: b}, tolerations: [{operator: Exists}]}}}`), "kthena-verify",
		)
		assert.Equal(t, map[string]string{"a": "b"}, pod.Spec.NodeSelector)
		assert.Equal(t, []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, pod.Spec.Tolerations)
	})
	t.Run("but not where nothing serves TLS", func(t *testing.T) {
		rendered, err := helm.Render(umbrella, options(t, webhooksOff))
		require.NoError(t, err)
		assert.Empty(t, rendered.Hooks)
		assert.NotContains(t, rendered.Manifest(), "kthena-verify")
	})
}
