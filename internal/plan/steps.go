package plan

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/volcano-sh/kthena-certgen/internal/shell"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// injectors is where annotations are that have something else than the chart set the bundles of manual mode.
var injectors = []string{"global", "webhook", "injectorAnnotations"}

// rotates reports whether a release that is in manual mode gets another CA or Secrets of other names.
func (f *facts) rotates() bool {
	if f.wanted.Mode != verify.Manual {
		return false
	}
	bundle, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(lookup(f.helm.values, bundles[0])), ""))
	return err != nil || !bytes.Equal(bytes.TrimSpace(bundle), bytes.TrimSpace(f.wanted.CA)) ||
		slices.ContainsFunc(servers, func(s server) bool {
			name := lookup(f.wanted.Values, s.values)
			return name != "" && name != lookup(f.helm.values, s.values)
		})
}

// folder is for what is kept. No two plans have the same one, so that nothing is written over.
func (f *facts) folder() string {
	return f.report.Release + "-" + f.report.Time.UTC().Format("20060102-150405")
}

// program is a command with the flags that lead it to the cluster that was looked at.
func (f *facts) program(name, kubeconfig, context, as string) string {
	for _, flag := range [][2]string{{kubeconfig, f.wanted.Kubeconfig}, {context, f.wanted.Context}, {as, f.wanted.As}} {
		if flag[1] != "" {
			name += " " + flag[0] + " " + shell.Quote(flag[1])
		}
	}
	return name
}

func (f *facts) helmCommand() string {
	return f.program("helm", "--kubeconfig", "--kube-context", "--kube-as-user")
}
func (f *facts) kubectl() string { return f.program("kubectl", "--kubeconfig", "--context", "--as") }

// certgen is a command of this program about the release.
func (f *facts) certgen(command string) string {
	command = f.program("kthena-certgen "+command, "--kubeconfig", "--context", "--as") + " --namespace " + f.report.Namespace
	if f.report.Release == "kthena" {
		return command
	}
	return command + " --release " + f.report.Release
}

// file is a name as a command of the plan takes it, which must not look like a flag.
func file(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	return shell.Quote(name)
}

// steps are the commands of the switch.
func (f *facts) steps() []Step {
	r, ns, dir := f.report.Release, f.report.Namespace, f.folder()
	steps := []Step{
		{"Make a folder for what is kept, which nobody else may read.", "mkdir -m 700 " + dir},
		{
			"Keep the values that are set now.",
			fmt.Sprintf(
				"%s get values %s --namespace %s --revision %d --output yaml > %s/values.yaml", f.helmCommand(), r, ns, f.helm.revision, dir,
			),
		},
	}
	set := []string{"--values " + dir + "/values.yaml"}
	if f.wanted.ValuesFile != "" {
		set = append(set, "--values "+shell.Item(f.wanted.ValuesFile))
	}
	set = append(set, "--set global.certManagementMode="+f.wanted.Mode)
	if f.wanted.Mode == verify.Manual {
		return append(steps, f.toManual(set)...)
	}
	set = append(set, f.emptied(bundles)...)
	for _, values := range []map[string]any{f.helm.values, f.wanted.Values} {
		if _, found := find(values, injectors); found {
			set = append(set, "--set "+strings.Join(injectors, ".")+"=null")
			break
		}
	}
	for _, name := range f.resetSecrets {
		set = append(set, "--set-string "+name)
	}
	for _, secret := range f.overwritten {
		steps = append(steps, Step{
			"Keep the certificate that cert-manager replaces.",
			fmt.Sprintf("%s get secret %s --namespace %s --output yaml > %s/%s.yaml", f.kubectl(), secret, ns, dir, secret),
		})
	}
	if f.report.Mode != verify.Manual {
		return append(steps, Step{"Switch.", f.upgrade("upgrade", set)})
	}
	return append(steps, f.fromManual(set)...)
}

// fromManual are the steps after the values are kept.
func (f *facts) fromManual(set []string) []Step {
	// Without a history Helm 4 would apply on the server's side, whatever was before, and so remove what Helm has set.
	upgrade, hint := "upgrade --install --server-side=false", ""
	if f.helm.applied == "" {
		upgrade, hint = "upgrade --install", " With Helm 4, add --server-side=false."
	}
	history := fmt.Sprintf("--namespace %s --selector owner=helm,name=%s", f.report.Namespace, f.report.Release)
	steps := []Step{{
		"See that Helm can render it, before anything is taken away.", f.upgrade(upgrade, set) + " \\\n  --dry-run=server > /dev/null",
	}}
	if f.controller {
		steps = append(steps, Step{"Take the controller away, which nothing waits for; the switch makes it anew. What Helm knows no revision " +
			"of would keep mounts of manual mode.",
			fmt.Sprintf("%s delete deployment kthena-certgen --namespace %s --ignore-not-found", f.kubectl(), f.report.Namespace)})
	}
	return append(steps,
		Step{"Copy the release's history: Helm would take your bundle away before the new pods put in theirs, and does not if it knows no " +
			"revision before.",
			fmt.Sprintf("%s get secrets %s --output yaml > %s/history.yaml", f.kubectl(), history, f.folder())},
		Step{"Put it aside. There is no helm rollback to what was before.", f.kubectl() + " delete secrets " + history},
		Step{"Switch. If it is interrupted, run the command before and this one again." + hint, f.upgrade(upgrade, set)})
}

// toManual are the steps after the values are kept.
func (f *facts) toManual(set []string) []Step {
	ca, both := file(f.wanted.CAFile), f.folder()+"/both.crt"
	steps := []Step{
		{"Let the API server trust your CA before a new pod needs it, and write a bundle of all that it trusts: during the switch old pods " +
			"serve the old certificates.",
			f.certgen("ca-bundle") + " --add " + ca + " > " + both},
	}
	upgrade := "upgrade"
	if f.helm.applied == "ssa" { // the step before has made them kthena-certgen's
		steps = append(steps, Step{"Give up the bundles, which Helm 4 would not take from kthena-certgen.", f.certgen("release")})
	}
	if f.helm.applied == "ssa" && f.ownedByOthers() {
		upgrade += " --force-conflicts"
	}
	with := func(file string) []string {
		return append(slices.Concat(set, f.emptied(bundles[1:])), `--set-string global.webhook.caBundle="$(base64 -w0 `+file+`)"`)
	}
	return append(steps,
		Step{"Switch.", f.upgrade(upgrade, with(both))},
		Step{"When every pod is new, trust your CA alone.", f.upgrade(upgrade, with(ca))})
}

// emptied are the flags that take out what the values have at paths.
func (f *facts) emptied(paths [][]string) []string {
	var set []string
	for _, path := range paths {
		if lookup(f.helm.values, path) != "" || lookup(f.wanted.Values, path) != "" {
			set = append(set, "--set-string "+strings.Join(path, ".")+"=")
		}
	}
	return set
}

// upgrade is the command by which Helm brings the release to the values.
func (f *facts) upgrade(command string, set []string) string {
	return fmt.Sprintf(
		"%s %s %s %s --namespace %s --wait \\\n  %s", f.helmCommand(), command, f.report.Release, shell.Quote(f.wanted.Chart), f.report.Namespace,
		strings.Join(set, " \\\n  "),
	)
}

// ownedByOthers reports whether somebody else than Helm and kthena-certgen owns a bundle, who cannot give it up here.
func (f *facts) ownedByOthers() bool {
	return slices.ContainsFunc(f.report.Webhooks, func(w verify.Webhook) bool {
		return slices.ContainsFunc(w.BundleManagers, func(m string) bool { return m != "helm" && m != "kthena-certgen" })
	})
}
