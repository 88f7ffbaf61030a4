package chart

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/reader"
)

// newPlanner makes a planner for an installation, and what manual mode needs.
func newPlanner(t *testing.T, i *charttest.Installation) reader.Planner {
	t.Helper()
	p := reader.Planner{Reader: reader.New(t, env), Installation: i}
	generate(t, p)
	return p
}

func generate(t *testing.T, p reader.Planner) {
	t.Helper()
	subcharts := "registry,workload,networking"
	if testing.Short() {
		subcharts = "registry"
	}
	p.Generate(t, subcharts)
}

// What plan prints is run as it is, from each mode to each other, while objects are sent.
func TestWhatPlanPrintsSwitchesWithoutAGap(t *testing.T) {
	i := env.Prepare(t)
	p := newPlanner(t, i)
	p.Run(t, "kubectl apply --filename manual/secrets.yaml")
	i.Install(t, inMode(charttest.Auto, 3))
	_, entries := observed()
	p.Switch(t, probeRate, entries)
}

func TestPlanRefusesWhatCannotWork(t *testing.T) {
	i := env.Prepare(t)
	p := newPlanner(t, i)
	i.Install(t, charttest.Merged(inMode(charttest.Auto, 1), only("registry")))
	refused := func(t *testing.T, to, want string) {
		t.Helper()
		found := p.Ask(t, to)
		require.Len(t, found.Refused, 1)
		assert.Contains(t, found.Refused[0], want)
		assert.Empty(t, found.Steps)
	}
	secret := "Secret " + i.Namespace + "/registry-webhook-certs-manual"
	refused(
		t, charttest.Manual,
		secret+" does not exist, and Service registry-webhook would serve from it: create it, or name another one by "+
			"registry.controllerManager.webhook.tls.secretName",
	)
	p.Run(t, "kubectl apply --filename manual/secrets.yaml")
	generate(t, p)
	refused(t, charttest.Manual, secret+" cannot be used with the CA of manual/ca.crt: chain: no CA of the set has signed the certificate")
	p.Run(t, "kubectl annotate --namespace "+i.Namespace+" secret registry-webhook-certs-manual cert-manager.io/certificate-name=x")
	refused(t, charttest.Manual, secret+" is cert-manager's, whose Certificate is gone")
	// Of a Certificate that the user has, and of one that is the release's.
	p.Write(
		t, "certificate.yaml",
		"{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: x}, spec: {secretName: own, dnsNames: [own], issuerRef: "+
			"{name: none}}}",
	)
	p.Run(t, "kubectl apply --namespace "+i.Namespace+" --filename certificate.yaml")
	refused(t, charttest.Manual, secret+" cannot be used with the CA of manual/ca.crt")
	p.Run(t, "kubectl label --namespace "+i.Namespace+" certificate x app.kubernetes.io/instance=kthena")
	refused(t, charttest.Manual, secret+" is cert-manager's, which goes away with the switch")
	p.Run(t, "kubectl delete --namespace "+i.Namespace+" --filename certificate.yaml")

	p.Run(t, "kubectl create secret generic registry-webhook-ca --namespace "+i.Namespace)
	refused(
		t, charttest.CertManager,
		"Secret "+i.Namespace+"/registry-webhook-ca is not cert-manager's, which would write its CA there: keep it under another name, or set "+
			"global.certManager.issuerRef",
	)
	p.Run(t, "kubectl delete secret registry-webhook-ca --namespace "+i.Namespace)

	// Helm is at work, or was killed; and an upgrade has failed.
	pending := "kubectl create secret generic sh.helm.release.v1.kthena.v2 --namespace " + i.Namespace + " && kubectl label secret " +
		"sh.helm.release.v1.kthena.v2 --namespace " + i.Namespace + " owner=helm name=kthena version=2 status="
	p.Run(t, pending+"pending-upgrade")
	refused(t, charttest.CertManager, "revision 2 of release kthena is pending-upgrade: wait until Helm has ended; if Helm was killed, "+
		"take that revision away: kubectl delete secret sh.helm.release.v1.kthena.v2 --namespace "+i.Namespace)
	p.Run(t, "kubectl label secret sh.helm.release.v1.kthena.v2 --namespace "+i.Namespace+" --overwrite status=failed")
	found := p.Ask(t, charttest.CertManager)
	assert.Contains(t, found.Notes, "revision 2 is failed: the plan goes by revision 1, the last that was deployed")
	assert.Contains(t, found.Steps[1].Command, " --revision 1 ")
	assert.NotEmpty(t, p.Ask(t, charttest.Auto).Steps, "it may be half done")
	p.Run(t, "kubectl delete secret sh.helm.release.v1.kthena.v2 --namespace "+i.Namespace)
	assert.Empty(t, p.Ask(t, charttest.Auto).Steps, "it is in this mode")

	issuer := "kthena-certgen plan --namespace " + i.Namespace + " --to cert-manager --values issuer.yaml 2>&1 || test $? = 3"
	p.Write(t, "issuer.yaml", "{global: {certManager: {issuerRef: {kind: ClusterIssuer, name: missing}}}}")
	assert.Contains(t, p.Run(t, issuer), "ClusterIssuer missing does not exist: create it, or change global.certManager.issuerRef")
	p.Write(t, "issuer.yaml", "{global: {certManager: {issuerRef: {name: missing}}}}")
	assert.Contains(t, p.Run(t, issuer), "Issuer missing does not exist")

	// An injector of another version, where cert-manager's chart would label it.
	old := map[string]string{
		"app.kubernetes.io/name": "cainjector", "app.kubernetes.io/component": "cainjector", "app.kubernetes.io/version": "v1.18.2",
	}
	p.Run(t, "kubectl create deployment cainjector --image=x --replicas=0 --namespace "+i.Namespace)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": old}})
	require.NoError(t, err)
	_, err = env.Client.AppsV1().Deployments(i.Namespace).Patch(t.Context(), "cainjector", types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
	refused(
		t, charttest.CertManager,
		"cert-manager is v1.18.2, whose CA injector replaces the bundle, so that calls to old pods fail: use 1.19 or later",
	)
	assert.Contains(t, p.Run(t, "kthena-certgen plan --namespace "+i.Namespace+" --to cert-manager 2>&1 || test $? = 3"),
		"kthena-certgen: error: release kthena cannot be switched to cert-manager as things are: cert-manager is v1.18.2")

	p.Run(t, "kubectl delete deployment cainjector --namespace "+i.Namespace)
	// As if there were no release, until the test wants to uninstall it.
	p.Run(t, "kubectl label secrets --namespace "+i.Namespace+" --selector owner=helm --overwrite owner=nobody")
	defer p.Run(t, "kubectl label secrets --namespace "+i.Namespace+" --selector owner=nobody --overwrite owner=helm")
	found = p.Ask(t, charttest.CertManager)
	assert.True(t, slices.ContainsFunc(found.Refused, func(r string) bool {
		return strings.Contains(r, "Helm knows no release kthena in namespace "+i.Namespace)
	}))
}

// A key of the user's under the name that cert-manager writes to is kept first.
func TestPlanKeepsAKeyThatCertManagerReplaces(t *testing.T) {
	i := env.Prepare(t)
	p := newPlanner(t, i)
	name := "registry-webhook." + i.Namespace + ".svc"
	ca := i.CreateOwnSecret(t, "registry-webhook-certs", name, name+".cluster.local")
	i.Install(t, charttest.Merged(charttest.Merged(inMode(charttest.Manual, 1), only("registry")),
		map[string]any{"global": map[string]any{"webhook": map[string]any{"caBundle": base64.StdEncoding.EncodeToString(ca)}}}))
	key := func(name string) []byte {
		s, err := env.Client.CoreV1().Secrets(i.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		return s.Data[corev1.TLSPrivateKeyKey]
	}
	before := key("registry-webhook-certs")
	begun := i.Probe(t, probeRate)
	for _, s := range p.Ask(t, charttest.CertManager).Steps {
		p.Run(t, s.Command)
	}
	i.Settle(t)
	charttest.AssertNoneFailed(t, begun.Stop())
	assert.NotEqual(t, before, key("registry-webhook-certs"))
	p.Run(
		t,
		"sed -i -e 's/name: registry-webhook-certs/name: copy/' -e '/resourceVersion:/d' -e '/uid:/d' "+
			"kthena-*/registry-webhook-certs.yaml; kubectl create --filename kthena-*/registry-webhook-certs.yaml",
	)
	assert.Equal(t, before, key("copy"))
}
