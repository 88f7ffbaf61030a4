package plan

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// found are facts of a release that Helm 4 applies, in a mode.
func found(from, to string, owners ...string) *facts {
	return &facts{
		report: verify.Report{
			Release: "k", Namespace: "ns", Mode: from, Time: time.Date(2026, 11, 27, 18, 25, 1, 0, time.UTC),
			Verdict: verify.VerdictOK, Webhooks: []verify.Webhook{{BundleManagers: owners}},
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
	const folder = "mkdir -m 700 k-20261127-182501"
	const values = "helm get values k --namespace ns --revision 1 --output yaml > k-20261127-182501/values.yaml"
	const set = " --values k-20261127-182501/values.yaml --values 'my values.yaml' --set global.certManagementMode="
	const try = "helm upgrade --install --server-side=false k charts/kthena --namespace ns --wait"
	const both, own = ` --set-string global.webhook.caBundle="$(base64 -w0 ` +
		`k-20261127-182501/both.crt)"`, ` --set-string global.webhook.caBundle="$(base64 -w0 ca.crt)"`
	client := func(f *facts) *facts {
		f.helm.applied = "csa"
		return f
	}
	for name, tc := range map[string]struct {
		facts *facts
		want  []string
	}{
		"from auto to manual mode, on the client's side": {client(found(verify.Auto, verify.Manual, "helm", "other")), []string{
			folder, values, "kthena-certgen ca-bundle --namespace ns --release k --add ca.crt > k-20261127-182501/both.crt",
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + both,
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + own,
		}},
		"from manual to auto mode, on the client's side": {client(found(verify.Manual, verify.Auto, "helm")), []string{
			folder, values, try + set + "auto --dry-run=server > /dev/null",
			"kubectl delete deployment kthena-certgen --namespace ns --ignore-not-found",
			"kubectl get secrets --namespace ns --selector owner=helm,name=k --output yaml > k-20261127-182501/history.yaml",
			"kubectl delete secrets --namespace ns --selector owner=helm,name=k",
			try + set + "auto",
		}},
		"from auto to manual mode": {found(verify.Auto, verify.Manual, "kthena-certgen"), []string{
			folder, values, "kthena-certgen ca-bundle --namespace ns --release k --add ca.crt > k-20261127-182501/both.crt",
			"kthena-certgen release --namespace ns --release k",
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + both,
			"helm upgrade k charts/kthena --namespace ns --wait" + set + "manual" + own,
		}},
		"from cert-manager to manual mode": {found(verify.CertManager, verify.Manual, "cert-manager-cainjector"), []string{
			folder, values, "kthena-certgen ca-bundle --namespace ns --release k --add ca.crt > k-20261127-182501/both.crt",
			"kthena-certgen release --namespace ns --release k",
			"helm upgrade --force-conflicts k charts/kthena --namespace ns --wait" + set + "manual" + both,
			"helm upgrade --force-conflicts k charts/kthena --namespace ns --wait" + set + "manual" + own,
		}},
		"from manual to auto mode": {found(verify.Manual, verify.Auto, "helm"), []string{
			folder, values, try + set + "auto --dry-run=server > /dev/null",
			"kubectl delete deployment kthena-certgen --namespace ns --ignore-not-found",
			"kubectl get secrets --namespace ns --selector owner=helm,name=k --output yaml > k-20261127-182501/history.yaml",
			"kubectl delete secrets --namespace ns --selector owner=helm,name=k",
			try + set + "auto",
		}},
		"from auto to cert-manager mode": {found(verify.Auto, verify.CertManager, "kthena-certgen"), []string{
			folder, values, "helm upgrade k charts/kthena --namespace ns --wait" + set + "cert-manager",
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
	all := commands(f.plan())
	const want = " --set-string global.webhook.caBundle= --set-string workload.controllerManager.webhook.caBundle="
	assert.True(t, strings.HasSuffix(all[len(all)-1], want), all[len(all)-1])
	f.helm.values = map[string]any{"global": map[string]any{"webhook": map[string]any{"injectorAnnotations": map[string]any{"a": "b"}}}}
	all = commands(f.plan())
	assert.True(t, strings.HasSuffix(all[len(all)-1], " --set global.webhook.injectorAnnotations=null"), all[len(all)-1])
}

func TestAPlanLeadsItsCommandsToTheClusterThatItLookedAt(t *testing.T) {
	t.Parallel()
	f := found(verify.Auto, verify.Manual, "kthena-certgen")
	f.wanted.Kubeconfig, f.wanted.Context, f.wanted.As, f.wanted.CAFile = "my config", "one", "me", "-ca.crt"
	const flags, dir = " --kubeconfig 'my config' --context one --as me", "k-20261127-182501"
	assert.Equal(t, []string{
		"mkdir -m 700 " + dir,
		"helm --kubeconfig 'my config' --kube-context one --kube-as-user me get values k --namespace ns --revision 1 --output yaml > " +
			dir + "/values.yaml",
		"kthena-certgen ca-bundle" + flags + " --namespace ns --release k --add ./-ca.crt > " + dir + "/both.crt",
		"kthena-certgen release" + flags + " --namespace ns --release k",
	}, commands(f.plan())[:4])
	f = found(verify.Manual, verify.Auto)
	f.wanted.Context, f.overwritten = "one", []string{"s"}
	for _, c := range commands(f.plan())[1:] {
		assert.Regexp(t, "^(helm --kube-context|kubectl --context) one ", c)
	}
}

func TestASwitchThatIsHalfDoneIsDoneAgain(t *testing.T) {
	t.Parallel()
	inCertManagerMode := map[string]any{"global": map[string]any{"certManagementMode": verify.CertManager}}
	for name, tc := range map[string]struct {
		helm helmRelease
		want bool
	}{
		"not when it is whole":                  {helmRelease{chart: "kthena-1.0.0", values: inCertManagerMode}, false},
		"when Helm has failed":                  {helmRelease{chart: "kthena-1.0.0", values: inCertManagerMode, failed: true}, true},
		"when Helm knows of auto mode":          {helmRelease{chart: "kthena-1.0.0"}, true},
		"not when the chart is in another's":    {helmRelease{chart: "platform-1.0.0"}, false},
		"when that of another chart has failed": {helmRelease{chart: "platform-1.0.0", failed: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := found(verify.CertManager, verify.CertManager)
			f.helm = tc.helm
			p := f.plan()
			if !tc.want {
				assert.Empty(t, p.Steps)
				assert.Equal(t, "nothing: the release is in this mode", p.Cost)
				return
			}
			all := commands(p)
			require.NotEmpty(t, all)
			assert.Regexp(t, "^helm upgrade .*k .* --set global.certManagementMode=cert-manager$", all[len(all)-1])
		})
	}
}

func TestAPlanNamesFilesAsHelmReadsThem(t *testing.T) {
	t.Parallel()
	f := found(verify.CertManager, verify.Auto)
	f.wanted.ValuesFile = "my,values.yaml"
	all := commands(f.plan())
	assert.Contains(t, all[len(all)-1], ` --values '"my,values.yaml"' --set global.certManagementMode=auto`)
}

func TestAnotherCAOrSecretInManualModeIsASwitch(t *testing.T) {
	t.Parallel()
	name := func(name string) map[string]any {
		return map[string]any{"registry": map[string]any{"controllerManager": map[string]any{"webhook": map[string]any{
			"tls": map[string]any{"secretName": name},
		}}}}
	}
	for what, tc := range map[string]struct {
		ca, secret string
		steps      bool
	}{
		"the same":       {"CA", "mine", false},
		"another CA":     {"CB", "mine", true},
		"another Secret": {"CA", "other", true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := found(verify.Manual, verify.Manual, "helm")
			f.helm.values = name("mine")
			f.helm.values["global"] = map[string]any{"webhook": map[string]any{"caBundle": "Q0E\nK"}} // CA and a new line
			f.wanted.CA, f.wanted.Values = []byte(tc.ca+"\n"), name(tc.secret)
			assert.Equal(t, tc.steps, len(f.plan().Steps) > 0)
		})
	}
}

func TestWhatTheFileOfValuesSaysComesFirst(t *testing.T) {
	t.Parallel()
	f := found(verify.Auto, verify.CertManager)
	path := []string{"a", "b"}
	f.helm.values = map[string]any{"a": map[string]any{"b": "now"}}
	assert.Equal(t, "now", f.of(path, "chart"))
	for value, want := range map[any]string{"file": "file", "": "chart", nil: "chart"} {
		f.wanted.Values = map[string]any{"a": map[string]any{"b": value}}
		assert.Equal(t, want, f.of(path, "chart"))
	}
	router := servers[3]
	assert.False(t, f.willServe(router))
	f.report.Servers = []verify.Server{{Name: router.service}}
	assert.True(t, f.willServe(router))
	for _, enabled := range []bool{true, false} {
		f.wanted.Values = map[string]any{"networking": map[string]any{"kthenaRouter": map[string]any{"tls": map[string]any{"enabled": enabled}}}}
		assert.Equal(t, enabled, f.willServe(router))
	}
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
