package charts

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

// Kthena gives all that elect one lease, so where two Deployments elect, the leader has to run the controllers of both.
func TestEveryControllerIsRunByWhoeverMayLead(t *testing.T) {
	const (
		own, all = "modelserving", "*"
		booster  = "modelbooster,autoscaler"
	)
	for _, c := range []struct {
		name, registry, workload string
		elect                    [2]bool
		want                     [2]string
	}{
		{"one pod each", "{}", "{}", [2]bool{}, [2]string{booster, own}},
		{"three pods each", "{replicas: 3}", "{replicas: 3}", [2]bool{true, true}, [2]string{all, all}},
		{"three pods of the registry", "{replicas: 3}", "{}", [2]bool{true, false}, [2]string{booster, own}},
		{"three pods of the workload", "{}", "{replicas: 3}", [2]bool{false, true}, [2]string{booster, own}},
		{"an autoscaler of the user's and three pods", "{replicas: null}", "{replicas: 3}", [2]bool{true, true}, [2]string{all, all}},
		{"an autoscaler each", "{autoscaling: {enabled: true}}", "{autoscaling: {enabled: true}}", [2]bool{true, true}, [2]string{all, all}},
		{"no pods", "{replicas: 0}", "{replicas: 0}", [2]bool{}, [2]string{booster, own}},
	} {
		t.Run(c.name, func(t *testing.T) {
			byName := components(render(t, "{registry: {controllerManager: "+c.registry+"}, workload: {controllerManager: "+c.workload+"}}"))
			for i, name := range []string{"kthena-registry", "kthena-workload"} {
				args := byName[name].Spec.Template.Spec.Containers[0].Args
				assert.Contains(t, args, "--controllers="+c.want[i], name)
				assert.Contains(t, args, map[bool]string{true: "--leader-elect=true", false: "--leader-elect=false"}[c.elect[i]], name)
			}
		})
	}
	t.Run("three pods of the one that is installed", func(t *testing.T) {
		byName := components(render(t, "{registry: {enabled: false}, workload: {controllerManager: {replicas: 3}}}"))
		assert.Contains(t, byName["kthena-workload"].Spec.Template.Spec.Containers[0].Args, "--controllers=modelserving")
	})
}

func TestWhoeverRunsAControllerHasItsSettings(t *testing.T) {
	const both = "{registry: {controllerManager: {replicas: 3, autoscalingSyncPeriodSeconds: 7}}, workload: {controllerManager: " +
		"{replicas: 3}}}"
	for name, d := range components(render(t, both)) {
		if name != "kthena-router" {
			assert.Contains(t, d.Spec.Template.Spec.Containers[0].Args, "--autoscaling-sync-period-seconds=7", name)
			assert.NotEmpty(t, d.Spec.Template.Annotations["checksum/config"], name)
		}
	}
	for name, d := range components(render(t, "{}")) {
		assert.NotContains(
			t, strings.Join(d.Spec.Template.Spec.Containers[0].Args, " "), "--autoscaling-sync-period-seconds", "v1.0.0 does not know it: %s", name,
		)
	}
}

// The programs read their ConfigMaps once.
func TestAnotherConfigurationReplacesThePodsThatReadIt(t *testing.T) {
	before := components(render(t, "{}"))
	for _, c := range []struct {
		name, values string
		want         []string
	}{
		{"an image of the downloader", "{registry: {controllerManager: {downloaderImage: {tag: v9}}}}", []string{"kthena-registry"}},
		{"a plugin of the router", "{networking: {kthenaRouter: {routerConfiguration: {auth: {issuer: x}}}}}", []string{"kthena-router"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var changed []string
			for name, d := range components(render(t, c.values)) {
				if d.Spec.Template.Annotations["checksum/config"] != before[name].Spec.Template.Annotations["checksum/config"] {
					changed = append(changed, name)
				}
			}
			assert.Equal(t, c.want, changed)
		})
	}
	t.Run("an image of the runtime, when each may run the controller that reads it", func(t *testing.T) {
		const three = "{registry: {controllerManager: {replicas: 3, runtimeImage: {tag: %s}}}, workload: {controllerManager: {replicas: 3}}}"
		one, other := components(render(t, strings.Replace(three, "%s", "v1", 1))), components(render(t, strings.Replace(three, "%s", "v2", 1)))
		for _, name := range []string{"kthena-registry", "kthena-workload"} {
			assert.NotEqual(
				t, one[name].Spec.Template.Annotations["checksum/config"], other[name].Spec.Template.Annotations["checksum/config"], name,
			)
		}
	})
}

func TestImagesOfTheModelBoosterMayHaveADigest(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	objects := render(t, "{registry: {controllerManager: {downloaderImage: {digest: '"+digest+"'}, runtimeImage: {digest: '"+digest+"'}}}}")
	assert.Equal(t, map[string]string{
		"model_serving_downloader_image": "ghcr.io/volcano-sh/downloader@" + digest,
		"model_serving_runtime_image":    "ghcr.io/volcano-sh/runtime@" + digest,
	}, named[*corev1.ConfigMap](t, objects, "model-booster-controller-config").Data)
}
