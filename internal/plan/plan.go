// Package plan says what a switch of a release to another mode of certificate management needs and costs: the commands for this very
// release, in their order. It looks at the release as it is, and changes nothing.
package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volcano-sh/kthena-certgen/internal/shell"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// Schema names the form of a Plan. Fields may be added to it; what is there keeps its name and meaning.
const Schema = "kthena-certgen/plan/v1"

// Modes are those that a release can be switched to.
var Modes = []string{verify.Auto, verify.CertManager, verify.Manual}

// Plan is what a switch takes. Its JSON form is stable.
type Plan struct {
	// Schema is the constant of that name.
	Schema    string `json:"schema"`
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	From      string `json:"from"`
	To        string `json:"to"`
	// Found is what the plan depends on.
	Found []string `json:"found"`
	// Refused are the reasons for which the switch cannot work as things are, each with what helps. There are no steps then.
	Refused []string `json:"refused"`
	// Notes are worth knowing.
	Notes []string `json:"notes"`
	// Cost is what users notice.
	Cost  string `json:"cost"`
	Steps []Step `json:"steps"`
}

// Step is one command.
type Step struct {
	What    string `json:"what"`
	Command string `json:"command"`
}

// Wanted is what the switch is to lead to.
type Wanted struct {
	Mode string
	// Chart is what the commands call the chart by.
	Chart string
	// ValuesFile and CAFile are the files that the commands name, empty when there are none.
	ValuesFile, CAFile string
	// Values are those of ValuesFile, CA is the PEM of CAFile.
	Values map[string]any
	CA     []byte
}

// server is one server with a certificate, by its Service, in the chart's names.
type server struct {
	service string
	// values is where the name of its Secret is, in manual and in cert-manager mode.
	values []string
	secret string
}

var servers = []server{
	{"registry-webhook", []string{"registry", "controllerManager", "webhook", "tls", "secretName"}, "registry-webhook-certs"},
	{"workload-webhook", []string{"workload", "controllerManager", "webhook", "tls", "secretName"}, "workload-webhook-certs"},
	{"networking-webhook", []string{"networking", "kthenaRouter", "webhook", "tls", "secretName"}, "networking-webhook-certs"},
	{"kthena-router", []string{"networking", "kthenaRouter", "tls", "secretName"}, "kthena-router-tls"},
}

// bundles is where a CA bundle of manual mode may be set.
var bundles = [][]string{
	{"global", "webhook", "caBundle"},
	{"registry", "controllerManager", "webhook", "caBundle"},
	{"workload", "controllerManager", "webhook", "caBundle"},
	{"networking", "kthenaRouter", "webhook", "caBundle"},
}

// lookup is the text at a path of values, empty when there is none.
func lookup(values map[string]any, path []string) string {
	for _, key := range path[:len(path)-1] {
		values, _ = values[key].(map[string]any)
	}
	text, _ := values[path[len(path)-1]].(string)
	return text
}

// of is what a path of values is in the new release: the file's, else what is set now, else the chart's.
func (f *facts) of(path []string, chart string) string {
	for _, values := range []map[string]any{f.wanted.Values, f.helm.values} {
		if text := lookup(values, path); text != "" {
			return text
		}
	}
	return chart
}

// plan decides.
func (f *facts) plan() Plan {
	p := Plan{
		Schema: Schema, Release: f.report.Release, Namespace: f.report.Namespace, From: f.report.Mode, To: f.wanted.Mode,
		Found: f.found, Refused: slices.Clone(f.refused), Notes: f.notes, Steps: []Step{},
	}
	for _, list := range []*[]string{&p.Found, &p.Refused, &p.Notes} {
		if *list == nil {
			*list = []string{}
		}
	}
	switch {
	case len(p.Refused) > 0:
		p.Cost = "requests, as things are: put right first what is refused"
	case p.From == p.To:
		p.Cost = "nothing: the release is in this mode"
	default:
		p.Cost = "no request fails because of a certificate; the pods are replaced, one Deployment's as its strategy says"
		p.Steps = f.steps()
	}
	if f.report.Verdict == verify.VerdictBroken && len(p.Steps) > 0 {
		p.Notes = append(
			p.Notes,
			"the release is broken as it is, so requests may fail whatever is done: see kthena-certgen verify --namespace "+p.Namespace+
				f.releaseFlag(),
		)
	}
	return p
}

// releaseFlag names the release where it is not the usual one.
func (f *facts) releaseFlag() string {
	if f.report.Release == "kthena" {
		return ""
	}
	return " --release " + f.report.Release
}

// steps are the commands of the switch.
func (f *facts) steps() []Step {
	r, ns := f.report.Release, f.report.Namespace
	kept := r + "-values.yaml"
	steps := []Step{{"Keep the values that are set now.", fmt.Sprintf("helm get values %s --namespace %s --output yaml > %s", r, ns, kept)}}
	set := []string{"--values " + kept}
	if f.wanted.ValuesFile != "" {
		set = append(set, "--values "+shell.Quote(f.wanted.ValuesFile))
	}
	set = append(set, "--set global.certManagementMode="+f.wanted.Mode)
	if f.wanted.Mode == verify.Manual {
		return append(steps, f.toManual(set)...)
	}
	for _, path := range bundles {
		if lookup(f.helm.values, path) != "" || lookup(f.wanted.Values, path) != "" {
			set = append(set, "--set-string "+strings.Join(path, ".")+"=")
		}
	}
	for _, name := range f.resetSecrets {
		set = append(set, "--set-string "+name)
	}
	for _, secret := range f.overwritten {
		steps = append(
			steps,
			Step{
				"Keep the certificate that cert-manager replaces.",
				fmt.Sprintf("kubectl get secret %s --namespace %s --output yaml > %s.yaml", secret, ns, secret),
			},
		)
	}
	if f.report.Mode != verify.Manual {
		return append(steps, Step{"Switch.", f.upgrade("helm upgrade", set)})
	}
	// Without a history Helm 4 would apply on the server's side, whatever was before, and so remove what Helm has set.
	upgrade, hint := "helm upgrade --install --server-side=false", ""
	if f.helm.applied == "" {
		upgrade, hint = "helm upgrade --install", " With Helm 4, add --server-side=false."
	}
	if f.controller {
		steps = append(steps, Step{"Take the controller away, which nothing waits for; the switch makes it anew. What Helm knows no revision " +
			"of would keep mounts of manual mode.",
			fmt.Sprintf("kubectl delete deployment kthena-certgen --namespace %s", ns)})
	}
	history := fmt.Sprintf("--namespace %s --selector owner=helm,name=%s", ns, r)
	return append(steps,
		Step{"Copy the release's history: Helm would take your bundle away before the new pods put in theirs, and does not if it knows no " +
			"revision before.",
			fmt.Sprintf("kubectl get secrets %s --output yaml > %s-history.yaml", history, r)},
		Step{"Put it aside. There is no helm rollback to what was before.", "kubectl delete secrets " + history},
		Step{"Switch. If it is interrupted, run it again." + hint, f.upgrade(upgrade, set)})
}

// toManual are the steps after the values are kept.
func (f *facts) toManual(set []string) []Step {
	flags := " --namespace " + f.report.Namespace + f.releaseFlag()
	ca := shell.Quote(f.wanted.CAFile)
	steps := []Step{
		{"Let the API server trust your CA before a new pod needs it, and write a bundle of all that it trusts: during the switch old pods " +
			"serve the old certificates.",
			"kthena-certgen ca-bundle" + flags + " --add " + ca + " > both.crt"},
	}
	upgrade := "helm upgrade"
	if f.helm.applied == "ssa" { // the step before has made them kthena-certgen's
		steps = append(steps, Step{"Give up the bundles, which Helm 4 would not take from kthena-certgen.", "kthena-certgen release" + flags})
	}
	if f.helm.applied == "ssa" && f.ownedByOthers() {
		upgrade += " --force-conflicts"
	}
	with := func(file string) []string {
		all := slices.Clone(set)
		for _, path := range bundles[1:] {
			if lookup(f.wanted.Values, path) != "" || lookup(f.helm.values, path) != "" {
				all = append(all, "--set-string "+strings.Join(path, ".")+"=")
			}
		}
		return append(all, `--set-string global.webhook.caBundle="$(base64 -w0 `+file+`)"`)
	}
	return append(steps,
		Step{"Switch.", f.upgrade(upgrade, with("both.crt"))},
		Step{"When every pod is new, trust your CA alone.", f.upgrade(upgrade, with(ca))})
}

// upgrade is the command by which Helm brings the release to the values.
func (f *facts) upgrade(command string, set []string) string {
	return fmt.Sprintf(
		"%s %s %s --namespace %s --wait \\\n  %s", command, f.report.Release, shell.Quote(f.wanted.Chart), f.report.Namespace,
		strings.Join(set, " \\\n  "),
	)
}

// ownedByOthers reports whether somebody else than Helm and kthena-certgen owns a bundle, who cannot give it up here.
func (f *facts) ownedByOthers() bool {
	return slices.ContainsFunc(f.report.Webhooks, func(w verify.Webhook) bool {
		return slices.ContainsFunc(w.BundleManagers, func(m string) bool { return m != "helm" && m != "kthena-certgen" })
	})
}
