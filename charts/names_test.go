package charts

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func TestNamesThatYAMLTakesForNumbersStayNames(t *testing.T) {
	for _, name := range []string{"123", "1e3", "0x7"} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []string{"auto", "cert-manager", "manual"} {
				bundle := ""
				if mode == "manual" {
					bundle = caBundle(t)
				}
				o := options(t, `{global: {certManagementMode: `+mode+`, webhook: {caBundle: "`+bundle+`"}, commonLabels: {a: "`+name+`"}},
					registry: {controllerManager: {priorityClassName: "`+name+`", serviceAccount: {name: "`+name+`"}, webhook: {tls: {secretName: "`+name+
					`"}}}},
					networking: {kthenaRouter: {tls: {enabled: true, secretName: "`+name+`7"}, ingress: {enabled: true, className: "`+name+
					`", hosts: [a]}, serviceMonitor: {enabled: true}}}}`)
				o.Release, o.Namespace = name, name
				rendered, err := helm.Render(umbrella, o)
				require.NoError(t, err)
				for _, object := range decode(t, rendered) {
					assert.Equal(t, name, object.GetLabels()["app.kubernetes.io/instance"], identity(object))
				}
			}
		})
	}
}

// A key with only comments below it is null.
func TestMapsAndListsWithOnlyCommentsBelowThemAreEmpty(t *testing.T) {
	const nulls = `{podAnnotations: null, podLabels: null, deploymentAnnotations: null, nodeSelector: null, tolerations: null, affinity: null,
		topologySpreadConstraints: null, priorityClassName: null, podSpec: null, extraArgs: null, extraEnv: null, envFrom: null,
		extraVolumes: null, extraVolumeMounts: null, serviceAccount: {annotations: null}, replicas: null,
		webhook: {annotations: null, namespaceSelector: null, objectSelector: null, matchConditions: null}}`
	objects := render(t, perComponent(nulls))
	assert.Equal(t, identities(render(t, "{}")), identities(objects))
	global := render(t, "{global: {commonLabels: null, commonAnnotations: null, extraObjects: null, imagePullSecrets: null, certgen: "+
		"{extraEnv: null}}, "+
		"networking: {kthenaRouter: {service: {annotations: null, spec: null}}}}")
	assert.Equal(t, render(t, "{}"), global)
}
