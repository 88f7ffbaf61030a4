package main

import "sigs.k8s.io/yaml"

const home = "https://github.com/volcano-sh/kthena-certgen"

// published is an archive with its sum.
type published struct {
	platform platform
	sum      string
}

// plugin is krew's manifest of a plugin, as far as it is used here.
type plugin struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   pluginMetadata `json:"metadata"`
	Spec       pluginSpec     `json:"spec"`
}

type pluginMetadata struct {
	Name string `json:"name"`
}

type pluginSpec struct {
	Version          string           `json:"version"`
	Homepage         string           `json:"homepage"`
	ShortDescription string           `json:"shortDescription"`
	Description      string           `json:"description"`
	Platforms        []pluginPlatform `json:"platforms"`
}

type pluginPlatform struct {
	Selector pluginSelector `json:"selector"`
	URI      string         `json:"uri"`
	SHA256   string         `json:"sha256"`
	Bin      string         `json:"bin"`
	Files    []pluginFile   `json:"files"`
}

type pluginSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type pluginFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// krew is the manifest by which krew installs the archives. It links the program as kubectl-kthena_certgen, which kubectl runs as
// kubectl kthena-certgen.
func krew(version string, all []published) ([]byte, error) {
	p := plugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: pluginMetadata{name},
		Spec: pluginSpec{
			Version: version, Homepage: home, ShortDescription: "Certificates for Kthena's webhooks and router",
			Description: "Verifies the certificates of a release of Kthena's chart, plans and helps with switches\nbetween their sources, and " +
				"makes them offline.\n",
		},
	}
	for _, a := range all {
		p.Spec.Platforms = append(p.Spec.Platforms, pluginPlatform{
			Selector: pluginSelector{map[string]string{"os": a.platform.os, "arch": a.platform.arch}},
			URI:      home + "/releases/download/" + version + "/" + a.platform.archive(version), SHA256: a.sum,
			Bin: a.platform.program(), Files: []pluginFile{{a.platform.program(), "."}, {"LICENSE", "."}},
		})
	}
	return yaml.Marshal(p)
}
