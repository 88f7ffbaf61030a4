// Package plan says what a switch of a release to another mode of certificate management needs and costs: the commands for this very
// release, in their order. It looks at the release as it is, and changes nothing.
package plan

import (
	"cmp"
	"slices"
	"strings"

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
	// Kubeconfig, Context and As lead the commands to the cluster that was looked at, as that user; empty where they were not given.
	Kubeconfig, Context, As string
}

// server is one server with a certificate, by its Service, in the chart's names.
type server struct {
	service string
	// enabled is where it is turned on.
	enabled []string
	// values is where the name of its Secret is, in manual and in cert-manager mode.
	values []string
	// secret is that name by default, and ca that of the Secret in which cert-manager keeps the CA.
	secret, ca string
}

var servers = []server{
	webhookServer("registry", "registry", "controllerManager"),
	webhookServer("workload", "workload", "controllerManager"),
	webhookServer("networking", "networking", "kthenaRouter"),
	{
		"kthena-router", []string{"networking", "kthenaRouter", "tls", "enabled"}, []string{"networking", "kthenaRouter", "tls", "secretName"},
		"kthena-router-tls", "networking-router-ca",
	},
}

func webhookServer(name string, values ...string) server {
	at := func(keys ...string) []string { return slices.Concat(values, []string{"webhook"}, keys) }
	return server{name + "-webhook", at("enabled"), at("tls", "secretName"), name + "-webhook-certs", name + "-webhook-ca"}
}

// bundles is where a CA bundle of manual mode may be set.
var bundles = [][]string{
	{"global", "webhook", "caBundle"},
	{"registry", "controllerManager", "webhook", "caBundle"},
	{"workload", "controllerManager", "webhook", "caBundle"},
	{"networking", "kthenaRouter", "webhook", "caBundle"},
}

// find is what stands at a path of values, if anything does.
func find(values map[string]any, path []string) (value any, found bool) {
	for _, key := range path[:len(path)-1] {
		values, _ = values[key].(map[string]any)
	}
	value, found = values[path[len(path)-1]]
	return value, found
}

// lookup is the text at a path of values, empty when there is none.
func lookup(values map[string]any, path []string) string {
	value, _ := find(values, path)
	text, _ := value.(string)
	return text
}

// of is what a path of values is in the new release: the file's, else what is set now, else the chart's.
func (f *facts) of(path []string, chart string) string {
	for _, values := range []map[string]any{f.wanted.Values, f.helm.values} {
		if value, found := find(values, path); found {
			text, _ := value.(string)
			return cmp.Or(text, chart)
		}
	}
	return chart
}

// unfinished reports whether the objects may be half of a switch: Helm has begun a revision that failed, or what it has deployed last
// was in another mode, which is what is left of one that was killed.
func (f *facts) unfinished() bool {
	deployed := cmp.Or(lookup(f.helm.values, []string{"global", "certManagementMode"}), verify.Auto)
	// Another chart that wraps ours has our values elsewhere.
	return f.helm.failed || deployed != f.report.Mode && strings.HasPrefix(f.helm.chart, "kthena-")
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
	case p.From == p.To && !f.rotates() && !f.unfinished():
		p.Cost = "nothing: the release is in this mode"
	default:
		p.Cost = "no request fails because of a certificate; the pods are replaced, one Deployment's as its strategy says"
		p.Steps = f.steps()
	}
	if f.report.Verdict == verify.VerdictBroken && len(p.Refused) == 0 {
		p.Notes = append(
			p.Notes,
			"the release is broken as it is, so requests may fail whatever is done: see "+f.certgen("verify"),
		)
	}
	return p
}
