package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// clusterValues are the files in ci, which are for kinds of clusters and for chart-testing, by their name without the suffix.
func clusterValues(t *testing.T) map[string]helm.RenderOptions {
	t.Helper()
	const suffix = "-values.yaml"
	files, err := filepath.Glob(filepath.Join(umbrella, "ci", "*"+suffix))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	byName := map[string]helm.RenderOptions{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		byName[strings.TrimSuffix(filepath.Base(file), suffix)] = options(t, string(content))
	}
	return byName
}

func TestOnANodesNetworkEveryServerHasAPortOfItsOwn(t *testing.T) {
	seen := map[int32]string{}
	for name, d := range deployments(renderOptions(t, clusterValues(t)["eks-overlay"])) {
		pod := d.Spec.Template.Spec
		if name == "kthena-certgen" {
			assert.False(t, pod.HostNetwork, "nobody outside of the cluster's network calls the controller")
			continue
		}
		assert.True(t, pod.HostNetwork, name)
		assert.Equal(t, corev1.DNSClusterFirstWithHostNet, pod.DNSPolicy, "the router calls Services: %s", name)
		for _, port := range pod.Containers[0].Ports {
			assert.Empty(t, seen[port.ContainerPort], "%s and %s", name, port.Name)
			seen[port.ContainerPort] = name
		}
	}
}

func TestBehindAFirewallTheWebhooksListenOnThePortOfTheKubelet(t *testing.T) {
	objects := renderOptions(t, clusterValues(t)["gke-private"])
	for _, e := range entries(objects) {
		service := named[*corev1.Service](t, objects, e.webhook.ClientConfig.Service.Name)
		for _, port := range selected(t, objects, service).Containers[0].Ports {
			if port.Name == service.Spec.Ports[0].TargetPort.StrVal {
				assert.EqualValues(t, 10250, port.ContainerPort, "the API server calls the pods by this port")
			}
		}
	}
}

func TestWhatIsCommonIsOnEveryObject(t *testing.T) {
	for _, mode := range []string{"auto", "cert-manager"} {
		t.Run(mode, func(t *testing.T) {
			objects := render(t, "{global: {certManagementMode: "+mode+", commonLabels: {team: llm}, commonAnnotations: {contact: 'a, b'}}, "+
				"networking: {kthenaRouter: {tls: {enabled: true}, ingress: {enabled: true, hosts: [a]}, networkPolicy: {enabled: true}}}}")
			for _, o := range objects {
				assert.Equal(t, "llm", o.GetLabels()["team"], identity(o))
				assert.Equal(t, "a, b", o.GetAnnotations()["contact"], identity(o))
				if mode == "cert-manager" && identity(o)[:4] == "Cert" {
					assert.Equal(t, map[string]any{"labels": map[string]any{"team": "llm"}, "annotations": map[string]any{"contact": "a, b"}},
						spec(t, objects, "Certificate", o.GetName())["secretTemplate"], "what cert-manager writes")
				}
			}
			for name, d := range deployments(objects) {
				assert.NotContains(t, d.Spec.Selector.MatchLabels, "team", "a Deployment cannot change its selector")
				assert.Equal(t, "llm", d.Spec.Template.Labels["team"], name)
				assert.Equal(t, "a, b", d.Spec.Template.Annotations["contact"], name)
				for _, c := range d.Spec.Template.Spec.InitContainers {
					assert.Contains(t, c.Args, "--label=team=llm", "what certgen writes")
					assert.Contains(t, c.Args, "--annotation=contact=a, b")
				}
			}
		})
	}
}
