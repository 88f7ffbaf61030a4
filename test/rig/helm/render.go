// Package helm is a thin layer over Helm's SDK, which nothing else in the project uses: it renders and lints charts without a
// cluster, and installs them into one.
package helm

import (
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// RenderOptions say for which release and which cluster a chart is rendered.
type RenderOptions struct {
	Release   string
	Namespace string
	// Values are laid over the chart's own.
	Values map[string]any
	// KubeVersion is the cluster's version, such as v1.37.0. Empty is the version that Helm assumes without a cluster.
	KubeVersion string
	// APIVersions are served by the cluster besides those that Helm assumes without a cluster, such as
	// cert-manager.io/v1 or apps/v1/Deployment: what `helm template --api-versions` takes.
	APIVersions []string
	// Dependencies are folders of charts that stand in for those that the chart declares but does not hold.
	Dependencies []string
}

// Document is one rendered object.
type Document struct {
	// Source is the template's path, such as kthena/charts/registry/templates/deployment.yaml.
	Source string
	// YAML is the object without the comment that names the source.
	YAML string
}

// Hook is a rendered object that Helm applies when something happens.
type Hook struct {
	Document
	// Events are Helm's words for when, such as test.
	Events []string
}

// Rendered is what `helm template` makes of a chart.
type Rendered struct {
	// Documents are in the order in which Helm would apply them.
	Documents []Document
	// Hooks are what Helm runs at certain events instead, the pods of `helm test` among them.
	Hooks []Hook
	Notes string
}

// All are the documents, then those of the hooks.
func (r Rendered) All() []Document {
	all := slices.Clone(r.Documents)
	for _, h := range r.Hooks {
		all = append(all, h.Document)
	}
	return all
}

// Manifest is all documents and hooks as one YAML stream.
func (r Rendered) Manifest() string {
	var b strings.Builder
	for _, d := range r.All() {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", d.Source, d.YAML)
	}
	return b.String()
}

// Render renders the chart at path, a folder or a package, without a cluster, as `helm template` does, notes included.
func Render(path string, o RenderOptions) (Rendered, error) {
	c, err := Load(path, o.Dependencies)
	if err != nil {
		return Rendered{}, err
	}
	return c.Render(o)
}

// Chart is a chart that was loaded. Helm changes it while it renders it, so it can be rendered once.
type Chart struct{ chart *chart.Chart }

// Load reads the chart at path, a folder or a package, and adds the charts in the folders dependencies to it.
func Load(path string, dependencies []string) (Chart, error) {
	c, err := load(path, dependencies)
	return Chart{c}, err
}

// Render renders the chart without a cluster. The dependencies are those that it was loaded with.
func (c Chart) Render(o RenderOptions) (Rendered, error) {
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly = true
	install.DryRun = true
	install.ReleaseName = o.Release
	install.Namespace = o.Namespace
	install.APIVersions = o.APIVersions
	if o.KubeVersion != "" {
		version, err := chartutil.ParseKubeVersion(o.KubeVersion)
		if err != nil {
			return Rendered{}, fmt.Errorf("parsing the Kubernetes version %q: %w", o.KubeVersion, err)
		}
		install.KubeVersion = version
	}
	rel, err := install.Run(c.chart, o.Values)
	if err != nil {
		return Rendered{}, err
	}
	rendered := Rendered{Documents: documents(rel.Manifest), Notes: rel.Info.Notes}
	for _, h := range rel.Hooks {
		hook := Hook{Document: Document{Source: h.Path, YAML: strings.TrimSpace(h.Manifest)}}
		for _, event := range h.Events {
			hook.Events = append(hook.Events, event.String())
		}
		rendered.Hooks = append(rendered.Hooks, hook)
	}
	return rendered, nil
}

// Lint reports what `helm lint --strict` has to say about the chart in dir, an empty list when that is nothing.
func Lint(dir string, values map[string]any, kubeVersion string) ([]string, error) {
	version, err := chartutil.ParseKubeVersion(kubeVersion)
	if err != nil {
		return nil, fmt.Errorf("parsing the Kubernetes version %q: %w", kubeVersion, err)
	}
	var messages []string
	for _, m := range lint.AllWithKubeVersion(dir, values, "default", version).Messages {
		if m.Severity > support.InfoSev {
			messages = append(messages, m.Error())
		}
	}
	return messages, nil
}

// load reads the chart at path, a folder or a package, and adds the charts in the folders dependencies to it.
func load(path string, dependencies []string) (*chart.Chart, error) {
	c, err := loader.Load(path)
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", path, err)
	}
	for _, d := range dependencies {
		dependency, err := loader.LoadDir(d)
		if err != nil {
			return nil, fmt.Errorf("loading chart %s: %w", d, err)
		}
		c.AddDependency(dependency)
	}
	return c, nil
}

// documents splits a release's manifest, in which Helm has sorted the objects.
func documents(manifest string) []Document {
	// Helm writes this before each. Its own function splits by a regular expression, which takes a tenth of the time of a render.
	const marker = "---\n# Source: "
	var docs []Document
	for part := range strings.SplitSeq("\n"+manifest, "\n"+marker) {
		if source, content, ok := strings.Cut(part, "\n"); ok && source != "" {
			docs = append(docs, Document{Source: source, YAML: strings.TrimSpace(content)})
		}
	}
	return docs
}

// Create makes the chart that `helm create` makes, in a new folder of dir, and returns its path.
func Create(dir, name string) (string, error) {
	path, err := chartutil.Create(name, dir)
	if err != nil {
		return "", fmt.Errorf("creating the chart %s: %w", name, err)
	}
	return path, nil
}
