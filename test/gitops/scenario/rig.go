package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

const (
	// rate is how many objects are sent in a second while something is done.
	rate = 40
	// healed is how long requests may fail after a replace in auto mode: the controller has put the bundles back by then.
	healed = 2 * time.Second
)

// NoDrift is what a scenario saw of differences when it saw none.
const NoDrift = "none"

// Rig is a release that a deployer takes care of.
type Rig struct {
	*charttest.Installation
	Env      *charttest.Environment
	Deployer *Deployer
	// Mode is the mode that it is in, or that it goes to.
	Mode string
	// Object is the name of the object that asks for it.
	Object string
	client dynamic.ResourceInterface
}

// New makes the namespace of a release, where the pod of helm test can reach the others. The release goes away with the test.
func New(t *testing.T, d *Deployer, mode string) *Rig {
	t.Helper()
	r := &Rig{Installation: d.Env.Prepare(t), Env: d.Env, Deployer: d, Mode: mode, Object: charttest.Release, client: d.Client(t, d.Asks)}
	require.NoError(t, d.Env.LetForward(t.Context(), r.Namespace, "kthena-verify"))
	t.Cleanup(func() { r.remove(t) })
	return r
}

// Base is what a release has whoever deploys it.
func (r *Rig) Base() *Rig { return r }

// Step is something that is done to the release, and its row of the manual's table.
type Step struct {
	Name string
	// Do does it and returns what the deployer took for a difference.
	Do func(t *testing.T) (drift string)
	// Replaces says that webhook configurations are replaced by what the chart renders, so that requests may fail until they are healed.
	Replaces bool
}

// After is the step when something has been set first.
func (s Step) After(set func()) Step {
	do := s.Do
	s.Do = func(t *testing.T) string {
		set()
		return do(t)
	}
	return s
}

// Part is a test of a release of its own.
type Part struct {
	Name string
	Do   func(t *testing.T)
}

// InOrder does the parts one after the other and ends with the first that fails: it may have left what belongs to the whole cluster.
func InOrder(t *testing.T, parts []Part) {
	t.Helper()
	for _, p := range parts {
		if !t.Run(p.Name, p.Do) {
			return
		}
	}
}

// Run does the steps one after the other while requests are sent, and ends with the first that fails. A release that is not there yet
// gets its requests afterwards.
func (r *Rig) Run(t *testing.T, steps ...Step) {
	t.Helper()
	for _, s := range steps {
		if !t.Run(s.Name, func(t *testing.T) { r.run(t, s) }) {
			return
		}
	}
}

func (r *Rig) run(t *testing.T, s Step) {
	targets := r.targetsIfAny(t)
	var p *probe.Probe
	if len(targets) > 0 {
		p = probe.Start(t.Context(), targets, rate)
	}
	drift := s.Do(t)
	if p == nil {
		r.RequireAdmission(t, charttest.Entries)
		t.Logf("| %s | %s | %s | | | | %s |", r.Deployer.Name, r.Mode, s.Name, drift)
		return
	}
	r.RequireAdmission(t, charttest.Entries)
	report := p.Stop()
	gap := "-"
	if report.Failed > 0 {
		gap = report.LongestGap.Round(10 * time.Millisecond).String()
	}
	t.Logf("| %s | %s | %s | %d | %d | %s | %s |", r.Deployer.Name, r.Mode, s.Name, report.Sent, report.Failed, gap, drift)
	assert.Positive(t, report.Sent)
	if s.Replaces {
		assert.LessOrEqual(t, report.LongestGap, healed, "%q", report.Errors)
		return
	}
	assert.Zero(t, report.Failed, "%q", report.Errors)
}

// targetsIfAny finds the webhook entries of the release, if it has any.
func (r *Rig) targetsIfAny(t *testing.T) []probe.Target {
	t.Helper()
	targets, err := probe.Targets(t.Context(), r.Env.Config, charttest.Release, r.Namespace)
	require.NoError(t, err)
	return targets
}

// explain logs the state of the pods, what those have said that do not run, and the end of the deployer's logs.
func (r *Rig) explain(t *testing.T) {
	for _, name := range r.Deployer.Programs {
		log, err := os.ReadFile(filepath.Join(r.Env.Dir, name+".log"))
		t.Logf("%s (%v): ...%s", name, err, log[max(0, len(log)-4000):])
	}
	pods, err := r.Env.Client.CoreV1().Pods(r.Namespace).List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
	if err != nil {
		t.Log(err)
		return
	}
	for _, p := range pods.Items {
		for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			t.Logf("%s/%s: ready %t, %d restarts, %+v", p.Name, c.Name, c.Ready, c.RestartCount, c.State)
			if !c.Ready && c.State.Running == nil {
				log, err := r.Env.Kubelet.Logs(r.Namespace, p.Name, c.Name)
				t.Logf("%s (%v)", log, err)
			}
		}
	}
}

// Bundles are the CA bundles of the release's entries, by the entries' names.
func (r *Rig) Bundles(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, target := range r.Targets(t) {
		all[target.Entry] = string(target.CABundle)
	}
	return all
}

// RequireUntrusted requires that no entry has a CA, so that all of them fail.
func (r *Rig) RequireUntrusted(t *testing.T) {
	t.Helper()
	targets := r.Targets(t)
	require.Len(t, targets, charttest.Entries)
	for _, target := range targets {
		assert.Empty(t, target.CABundle, target.Entry)
		require.ErrorContains(t, target.Send(t.Context(), true), "x509", target.Entry)
	}
}

// Count says a number of things as a word of a table.
func Count(n int, what string) string {
	if n == 0 {
		return NoDrift
	}
	return fmt.Sprintf("%d %s", n, what)
}
