package charts

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

// ownValues are all values of the chart that comes with Kthena v1.0.0, set to something else than its defaults: those that have the same
// name here.
const ownValues = `
global: {certManagementMode: auto}
workload:
  enabled: true
  controllerManager:
    replicas: 3
    debugPort: 15000
    image: {repository: registry.example.com/kthena-controller-manager, tag: v1.0.0, pullPolicy: Always}
    kubeAPIQPS: 50
    kubeAPIBurst: 100
    webhook: {enabled: true}
networking:
  enabled: true
  kthenaRouter:
    enabled: true
    replicas: 3
    port: 9080
    debugPort: 15001
    image: {repository: registry.example.com/kthena-router, tag: v1.0.0, pullPolicy: Always}
    tls: {enabled: true, dnsName: llm.example.com, secretName: llm-tls}
    webhook: {enabled: true, port: 9443, tls: {secretName: router-webhook-tls}}
    gatewayAPI: {enabled: true, inferenceExtension: true}
    kubeAPIQPS: 50
    kubeAPIBurst: 100
    accessLog: {enabled: true, format: json, output: /var/log/kthena/access.log}
    fairness: {enabled: true, windowSize: 30m, inputTokenWeight: 1.5, outputTokenWeight: 3, maxConcurrent: 8}
    sessionBoost: {enabled: true, header: x-session, maxSessions: 10, inflightPerPod: 2, gracePeriod: 5s, timeout: 10m}
    terminationGracePeriodSeconds: 660
    drainTimeout: 10m
`

func TestValuesOfKthenasOwnChartThatKeepTheirName(t *testing.T) {
	_, err := helm.Render(umbrella, options(t, ownValues))
	require.NoError(t, err)
}

func TestValuesOfKthenasOwnChartThatMoveSayWhereTo(t *testing.T) {
	const manager, router = "{workload: {controllerManager: ", "{networking: {kthenaRouter: "
	for _, c := range []struct{ key, values, want string }{
		{"workload.controllerManager.resource", manager + "{resource: {limits: {cpu: 1}}}}}", "use workload.controllerManager.resources"},
		{
			"workload.controllerManager.image.args", manager + "{image: {args: [--v=4]}}}}",
			"use workload.controllerManager.extraArgs, or logVerbosity for --v",
		},
		{
			"workload.controllerManager.controllers", manager + "{controllers: modelserving}}}",
			"registry.enabled and workload.enabled say which controllers run",
		},
		{"workload.controllerManager.downloader", manager + "{downloader: {accessKey: a}}}}",
			"the Secret downloader-secrets is yours, since a release record would hold its keys; docs/moving-from-kthena.md says how it is kept"},
		{
			"workload.controllerManager.downloaderImage", manager + "{downloaderImage: {tag: v1}}}}",
			"use registry.controllerManager.downloaderImage",
		},
		{"workload.controllerManager.runtimeImage", manager + "{runtimeImage: {tag: v1}}}}", "use registry.controllerManager.runtimeImage"},
		{"workload.controllerManager.webhook.tls.certSecretName", manager + "{webhook: {tls: {certSecretName: a}}}}}",
			"use workload.controllerManager.webhook.tls.secretName"},
		{"workload.controllerManager.webhook.tls.serviceName", manager + "{webhook: {tls: {serviceName: a}}}}}",
			"the Service is workload-webhook, remove the value"},
		{"networking.kthenaRouter.resource", router + "{resource: {limits: {cpu: 1}}}}}", "use networking.kthenaRouter.resources"},
		{
			"networking.kthenaRouter.webhook.servicePort", router + "{webhook: {servicePort: 444}}}}",
			"the port of the Service is 443, remove the value",
		},
		{
			"networking.kthenaRouter.webhook.tls.certFile", router + "{webhook: {tls: {certFile: a}}}}}",
			"the chart mounts the file, remove the value",
		},
		{
			"networking.kthenaRouter.webhook.tls.keyFile", router + "{webhook: {tls: {keyFile: a}}}}}",
			"the chart mounts the file, remove the value",
		},
		{"networking.kthenaRouter.webhook.tls.serviceName", router + "{webhook: {tls: {serviceName: a}}}}}",
			"the Service is networking-webhook, remove the value"},
		{
			"networking.webhook", "{networking: {webhook: {enabled: true}}}",
			"it did nothing; the router's webhook is networking.kthenaRouter.webhook",
		},
	} {
		t.Run(c.key, func(t *testing.T) {
			_, err := helm.Render(umbrella, options(t, c.values))
			assert.Equal(t, "ERROR: "+c.key+" is a value of Kthena's own chart: "+c.want, refusal(err))
		})
	}
}

// The manual's table says it, too.
func TestTheManualNamesEveryValueThatMoves(t *testing.T) {
	page := string(read(t, filepath.Join("..", "docs"), "moving-from-kthena.md"))
	for _, name := range []string{"workload", "networking"} {
		content := string(read(t, filepath.Join(umbrella, "charts", name, "templates"), "_moved.tpl"))
		moved := regexp.MustCompile(`(?m)^([a-zA-Z.]+): `).FindAllStringSubmatch(content, -1)
		require.NotEmpty(t, moved)
		for _, m := range moved {
			assert.Regexp(t, "(?m)^\\|.*`"+regexp.QuoteMeta(m[1])+"`.*\\|", page, "%s: %s", name, m[1])
		}
	}
}
