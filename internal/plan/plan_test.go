package plan

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// found are facts of a release that Helm 4 applies, in a mode.
func found(from, to string, owners ...string) *facts {
	return &facts{
		report: verify.Report{
			Release: "k", Namespace: "ns", Mode: from, Verdict: verify.VerdictOK, Webhooks: []verify.Webhook{{BundleManagers: owners}},
		},
		wanted: Wanted{Mode: to, Chart: "charts/kthena", ValuesFile: "my values.yaml", CAFile: "ca.crt"},
		helm:   helmRelease{revision: 1, applied: "ssa"}, controller: true,
	}
}

func commands(p Plan) []string {
	var all []string
	for _, s := range p.Steps {
		all = append(all, strings.ReplaceAll(s.Command, " \\\n ", ""))
	}
	return all
}

func TestHelm4HasItsOwnCommands(t *testing.T) {
	t.Parallel()
	const values = "helm get values k --namespace ns --output yaml > k-values.yaml"
	const set = " --values k-values.yaml --values 'my values.yaml' --set global.certManagementMode="
	const both, own = ` --set-string global.webhook.caBundle="$(base64 -w0 ` +
		`both.crt)"`, ` --set-string global.webhook.caBundle="$(base64 -w0 ca.crt)"`
	client := func(f *facts) *facts {
		f.helm.applied = "csa"
		return f
	}
	for name, tc := range map[string]struct {
		facts *facts
		want  []string
	}{
		"from auto to manual mode, on the client's side": {client(found(verify.Auto, verify.Manual, "helm", "other")), []string{
			values, "kthena-certgen ca-bundle --namespace ns --release k --add ca.crt > both.crt",
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + both,
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + own,
		}},
		"from manual to auto mode, on the client's side": {client(found(verify.Manual, verify.Auto, "helm")), []string{
			values, "kubectl delete deployment kthena-certgen --namespace ns",
			"kubectl get secrets --namespace ns --selector owner=helm,name=k --output yaml > k-history.yaml",
			"kubectl delete secrets --namespace ns --selector owner=helm,name=k",
			"helm upgrade --install --server-side=false k charts/kthena --namespace ns --wait" + set + "auto",
		}},
		"from auto to manual mode": {found(verify.Auto, verify.Manual, "kthena-certgen"), []string{
			values, "kthena-certgen ca-bundle --namespace ns --release k --add ca.crt > both.crt",
			"kthena-certgen release --namespace ns --release k",
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + both,
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + own,
		}},
		"from cert-manager to manual mode": {found(verify.CertManager, verify.Manual, "cert-manager-cainjector"), []string{
			values, "kthena-certgen ca-bundle --namespace ns --release k --add ca.crt > both.crt",
			"kthena-certgen release --namespace ns --release k",
			"helm upgrade --force-conflicts k charts/kthena --namespace ns --wait" + set + "manual" + both,
			"helm upgrade --force-conflicts k charts/kthena --namespace ns --wait" + set + "manual" + own,
		}},
		"from manual to auto mode": {found(verify.Manual, verify.Auto, "helm"), []string{
			values, "kubectl delete deployment kthena-certgen --namespace ns",
			"kubectl get secrets --namespace ns --selector owner=helm,name=k --output yaml > k-history.yaml",
			"kubectl delete secrets --namespace ns --selector owner=helm,name=k",
			"helm upgrade --install --server-side=false k charts/kthena --namespace ns --wait" + set + "auto",
		}},
		"from auto to cert-manager mode": {found(verify.Auto, verify.CertManager, "kthena-certgen"), []string{
			values, "helm upgrade k charts/kthena --namespace ns --wait" + set + "cert-manager",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, commands(tc.facts.plan()))
		})
	}
}

func TestAPlanTakesBundlesOfManualModeOut(t *testing.T) {
	t.Parallel()
	f := found(verify.Manual, verify.Auto, "helm")
	f.helm.values = map[string]any{
		"global":   map[string]any{"webhook": map[string]any{"caBundle": "x"}},
		"workload": map[string]any{"controllerManager": map[string]any{"webhook": map[string]any{"caBundle": "y"}}},
	}
	last := commands(f.plan())[4]
	assert.True(
		t, strings.HasSuffix(last, " --set-string global.webhook.caBundle= --set-string workload.controllerManager.webhook.caBundle="), last,
	)
}

func TestABrokenReleaseIsToldAndARefusedSwitchHasNoSteps(t *testing.T) {
	t.Parallel()
	f := found(verify.Auto, verify.CertManager)
	f.report.Verdict = verify.VerdictBroken
	assert.Equal(
		t,
		[]string{"the release is broken as it is, so requests may fail whatever is done: see kthena-certgen verify --namespace ns --release k"},
		f.plan().Notes,
	)
	f.refused = []string{"no"}
	p := f.plan()
	assert.Empty(t, p.Steps)
	assert.Contains(t, string(p.Text()), "Refused:\n  - no\n")
	f = found(verify.Auto, verify.Auto)
	assert.Equal(t, "nothing: the release is in this mode", f.plan().Cost)
}

func TestWhatHelmHasStoredIsRead(t *testing.T) {
	t.Parallel()
	pack := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return []byte(base64.StdEncoding.EncodeToString(b.Bytes()))
	}
	var h helmRelease
	require.NoError(t, h.read(pack(
		`{"config":{"a":{"b":"c"}},"chart":{"metadata":{"name":"kthena","version":"1.2.3"}},"apply_method":"ssa"}`,
	)))
	assert.Equal(t, "ssa", h.applied)
	assert.Equal(t, "kthena-1.2.3", h.chart)
	assert.Equal(t, "c", lookup(h.values, []string{"a", "b"}))
	assert.Empty(t, lookup(h.values, []string{"a", "b", "c", "d"}))
	for name, data := range map[string][]byte{"no base64": []byte("*"), "not compressed": []byte("aGVsbG8="), "no JSON": pack("x")} {
		assert.Error(t, h.read(data), name)
	}
}
