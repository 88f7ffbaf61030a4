package main

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
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

// rendering is what it takes to load a chart and to render it, as `helm template` does without the start of Helm.
type rendering struct {
	Name    string `json:"name"`
	Objects int    `json:"objects"`
	LoadMS  spread `json:"loadMs"`
	// MS and CPUMS are of one render of a chart that is loaded. On a busy machine only the latter compares.
	MS    spread `json:"ms"`
	CPUMS spread `json:"cpuMs"`
}

// renders renders every case n times in turn for a cluster of a version, after a first time that is not counted.
func renders(cases []renderCase, version string, n int) ([]rendering, error) {
	loads, times, cpus := make([][]float64, len(cases)), make([][]float64, len(cases)), make([][]float64, len(cases))
	all := make([]rendering, len(cases))
	for round := range n + 1 {
		for i, c := range cases {
			start := time.Now()
			chart, err := helm.Load(c.dir, nil)
			if err != nil {
				return nil, err
			}
			loaded, cpu := time.Now(), cpuTime()
			rendered, err := chart.Render(helm.RenderOptions{Release: "kthena", Namespace: "kthena-system", Values: c.values, KubeVersion: version})
			if err != nil {
				return nil, err
			}
			if round > 0 {
				loads[i] = append(loads[i], millis(loaded.Sub(start)))
				times[i] = append(times[i], millis(time.Since(loaded)))
				cpus[i] = append(cpus[i], millis(cpuTime()-cpu))
			}
			all[i] = rendering{Name: c.name, Objects: len(rendered.Documents)}
		}
	}
	for i := range all {
		all[i].LoadMS, all[i].MS, all[i].CPUMS = spreadOf(loads[i]), spreadOf(times[i]), spreadOf(cpus[i])
	}
	return all, nil
}

// cpuTime is what this process has used so far, its garbage collection included.
func cpuTime() time.Duration {
	var u syscall.Rusage
	// It fails only for a process that does not exist.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
