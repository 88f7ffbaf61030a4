package charts

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func notes(t *testing.T, values string, apiVersions ...string) string {
	t.Helper()
	o := options(t, values)
	o.APIVersions = apiVersions
	rendered, err := helm.Render(umbrella, o)
	require.NoError(t, err)
	return rendered.Notes
}

func TestNotesSayWhatWasInstalledAndHowToVerifyIt(t *testing.T) {
	const tls = "networking: {kthenaRouter: {tls: {enabled: true}}}"
	installed := []string{
		"Kthena v1.0.0 is installed in the namespace kthena-system as the release kthena:\n",
		"- kthena-registry checks ModelBooster and AutoscalingPolicy objects before they are stored\n",
		"- kthena-workload checks ModelServing objects before they are stored\n",
		"- kthena-router checks ModelRoute and ModelServer objects before they are stored\n",
		"  kubectl -n kthena-system get deployments,pods -l app.kubernetes.io/part-of=kthena\n",
	}
	for _, c := range []struct {
		name, values string
		want         []string
	}{
		{"auto", "{}", []string{
			"  and serves HTTP on port 80 of the Service kthena-router\n",
			"Certificates come in the mode auto.",
			"  kubectl -n kthena-system get secrets registry-webhook-certs-auto workload-webhook-certs-auto networking-webhook-certs-auto\n",
		}},
		{"cert-manager", "{global: {certManagementMode: cert-manager}, " + tls + "}", []string{
			"  and serves HTTPS on port 80 of the Service kthena-router\n",
			"Certificates come in the mode cert-manager.",
			"  kubectl -n kthena-system get secrets registry-webhook-certs workload-webhook-certs networking-webhook-certs kthena-router-tls\n",
			"  kubectl -n kthena-system get issuers,certificates -l app.kubernetes.io/part-of=kthena\n",
		}},
		{"manual", manual(t, ", "+tls), []string{
			"  and serves HTTPS on port 80 of the Service kthena-router\n",
			"These Secrets must exist, with the keys tls.crt and tls.key; the pods wait for them:\n\n" +
				"  registry-webhook-certs\n  workload-webhook-certs\n  networking-webhook-certs\n  kthena-router-tls\n",
			"  kubectl -n kthena-system get secrets registry-webhook-certs workload-webhook-certs networking-webhook-certs kthena-router-tls\n",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := notes(t, c.values)
			for _, want := range slices.Concat(installed, c.want) {
				assert.Contains(t, got, want)
			}
			assert.NotContains(t, got, "WARNING")
		})
	}
}

func TestNotesNameOnlyWhatIsInstalled(t *testing.T) {
	got := notes(
		t,
		"{registry: {enabled: false}, workload: {controllerManager: {webhook: {enabled: false}}}, networking: {kthenaRouter: {enabled: false}}}",
	)
	assert.NotContains(t, got, "kthena-registry")
	assert.Contains(t, got, "- kthena-workload does NOT check ModelServing objects before they are stored\n")
	assert.NotContains(t, got, "kthena-router")
	assert.NotContains(t, got, "get secrets")
}

// knownCluster is what a cluster with Kthena's CRDs serves. Only a cluster's discovery lists kinds.
var knownCluster = []string{
	"apps/v1/Deployment",
	"workload.serving.volcano.sh/v1alpha1/ModelBooster",
	"workload.serving.volcano.sh/v1alpha1/AutoscalingPolicy",
	"workload.serving.volcano.sh/v1alpha1/ModelServing",
	"networking.serving.volcano.sh/v1alpha1/ModelRoute",
	"networking.serving.volcano.sh/v1alpha1/ModelServer",
}

func TestAClusterWithoutTheCRDsIsRefusedOrWarnedOf(t *testing.T) {
	const (
		unknown = "the cluster does not know "
		command = "helm show crds oci://ghcr.io/volcano-sh/charts/kthena --version v1.0.0 | kubectl apply --server-side -f -"
		later   = "{global: {requireCRDs: false}}"
	)
	for _, c := range []struct {
		name        string
		apiVersions []string
		missing     string
	}{
		{"a cluster without any", knownCluster[:1], "ModelBooster, AutoscalingPolicy, ModelServing, ModelRoute, ModelServer"},
		{"a cluster without one", knownCluster[:5], "ModelServer"},
		{"a cluster that has them all", knownCluster, ""},
		{"a render without a cluster", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, "{}")
			o.APIVersions = c.apiVersions
			_, err := helm.Render(umbrella, o)
			if c.missing == "" {
				require.NoError(t, err)
				assert.NotContains(t, notes(t, "{}", c.apiVersions...), unknown)
				return
			}
			assert.Equal(
				t, "ERROR: "+unknown+c.missing+": install Kthena's CRDs first ("+command+"), or set global.requireCRDs to false", refusal(err),
			)
			assert.Contains(t, notes(t, later, c.apiVersions...), "WARNING: "+unknown+c.missing+".\n")
			assert.Contains(t, notes(t, later, c.apiVersions...), "\n  "+command+"\n")
		})
	}
}

func TestNotesSayWhereTheRouterIs(t *testing.T) {
	for name, want := range map[string]string{
		"ClusterIP":    "  kubectl -n kthena-system port-forward service/kthena-router 8080:8000\n",
		"NodePort":     "  kubectl -n kthena-system get service kthena-router -o jsonpath='{.spec.ports[0].nodePort}'    # on every node\n",
		"LoadBalancer": "  kubectl -n kthena-system get service kthena-router -o jsonpath='{.status.loadBalancer.ingress[0]}'\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := notes(t, "{networking: {kthenaRouter: {service: {type: "+name+", port: 8000}}}}")
			assert.Contains(t, got, want)
			assert.Contains(t, got, "  and serves HTTP on port 8000 of the Service kthena-router\n")
		})
	}
	assert.NotContains(t, notes(t, "{networking: {enabled: false}}"), "address of the router")
}

func TestNotesSayWhoRollsThePodsAfterARenewal(t *testing.T) {
	const certManager = "{global: {certManagementMode: cert-manager, certgen: {controller: "
	for _, c := range []struct{ name, values, want string }{
		{"the controller", "{}", "The controller kthena-certgen rolls the pods to a new certificate as soon as the API server trusts it.\n"},
		{"people, who are told", certManager + "{roll: false}}}}",
			"The controller kthena-certgen tells when there is a new certificate, and leaves it to you to restart the pods.\n"},
		{"people, who have to know", certManager + "{enabled: false}}}}",
			"There is no controller: Kthena's programs load a certificate when they start, so restart the pods after a renewal.\n"},
		{"nobody where nothing serves TLS", webhooksOff, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := notes(t, c.values)
			assert.Contains(t, got, c.want)
			assert.Equal(t, c.want == "", !strings.Contains(got, "controller"))
		})
	}
}
