package main

import (
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/internal/helm"
)

// renderCase is a chart to render: ours in each mode, and for comparison the one that `helm create` makes.
type renderCase struct {
	name, dir string
	values    map[string]any
}

func renderCases(dir string) ([]renderCase, error) {
	reference, err := helm.Create(dir, "reference")
	if err != nil {
		return nil, err
	}
	cases := []renderCase{{name: "helm create", dir: reference}}
	for _, c := range []struct{ mode, values string }{{"auto", "defaults"}, {"cert-manager", "cert-manager"}, {"manual", "manual"}} {
		data, err := os.ReadFile(filepath.Join("charts", "testdata", c.values+".values.yaml"))
		if err != nil {
			return nil, err
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(data, &values); err != nil {
			return nil, err
		}
		cases = append(cases, renderCase{c.mode, "charts/kthena", values})
	}
	return cases, nil
}

// rendering is how long a chart takes to be loaded and rendered, as `helm template` does without the start of Helm.
type rendering struct {
	Name    string `json:"name"`
	Objects int    `json:"objects"`
	// Millis is per render.
	Millis spread `json:"ms"`
}

// renders renders every case n times in turn for a cluster of a version, after a first time that is not counted.
func renders(cases []renderCase, version string, n int) ([]rendering, error) {
	times := make([][]float64, len(cases))
	all := make([]rendering, len(cases))
	for round := range n + 1 {
		for i, c := range cases {
			start := time.Now()
			rendered, err := helm.Render(c.dir, helm.RenderOptions{Release: "kthena", Namespace: "kthena-system", Values: c.values, KubeVersion: version})
			if err != nil {
				return nil, err
			}
			if round > 0 {
				times[i] = append(times[i], millis(time.Since(start)))
			}
			all[i] = rendering{Name: c.name, Objects: len(rendered.Documents)}
		}
	}
	for i := range all {
		all[i].Millis = spreadOf(times[i])
	}
	return all, nil
}
