package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

// rate is how many objects a second are sent during a switch.
const rate = 40

// modeSwitch is one change of mode, and what requests met meanwhile.
type modeSwitch struct {
	name   string
	do     func(ctx context.Context) error
	report probe.Report
}

// switchModes takes the release through the modes while objects are sent to every entry.
func (d *demo) switchModes(ctx context.Context, client *helm.Client) ([]*modeSwitch, error) {
	dir, err := os.MkdirTemp("", "kthena-demo-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for manual mode: %w", err)
	}
	defer os.RemoveAll(dir)
	upgrade := func(values map[string]any) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.Upgrade(ctx, release, chart, values, helm.ReleaseOptions{Wait: true, Timeout: time.Minute})
			return err
		}
	}
	switches := []*modeSwitch{
		{name: "auto -> cert-manager", do: upgrade(values("cert-manager"))},
		{name: "cert-manager -> manual, both CAs in the bundle", do: func(ctx context.Context) error {
			manual, err := d.prepareManual(ctx, filepath.Join(dir, "manual"))
			if err != nil {
				return err
			}
			return upgrade(manual)(ctx)
		}},
		{name: "manual -> auto, Helm's history put aside", do: func(ctx context.Context) error {
			// An upgrade would delete the bundle that the revision before has: see docs/switching-modes.md.
			history := metav1.ListOptions{LabelSelector: "owner=helm,name=" + release}
			if err := d.cluster.Client.CoreV1().Secrets(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, history); err != nil {
				return fmt.Errorf("putting Helm's history of release %s/%s aside: %w", namespace, release, err)
			}
			_, err := client.Install(ctx, release, chart, values("auto"), helm.ReleaseOptions{Wait: true, Timeout: time.Minute})
			return err
		}},
	}
	for _, s := range switches {
		d.print.step("%s", s.name)
		targets, err := probe.Targets(ctx, d.cluster.Config, release, namespace)
		if err != nil {
			return nil, err
		}
		p := probe.Start(ctx, targets, rate)
		err = s.do(ctx)
		s.report = p.Stop()
		if err != nil {
			return nil, err
		}
		d.print.done("%d requests, %d failed", s.report.Sent, s.report.Failed)
	}
	return switches, nil
}

// prepareManual makes the user's certificates and Secrets, and returns the values of manual mode with a bundle that also holds
// the CAs that are trusted now, so that pods of both modes are trusted during the switch.
func (d *demo) prepareManual(ctx context.Context, dir string) (map[string]any, error) {
	if _, err := d.certgen(ctx, "generate", "--namespace", namespace, "--output-dir", dir); err != nil {
		return nil, err
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "secrets.yaml"))
	if err != nil {
		return nil, err
	}
	for _, text := range bytes.Split(manifest, []byte("\n---\n")) {
		var s corev1.Secret
		if err := yaml.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("parsing secrets.yaml: %w", err)
		}
		if s.Name == "" {
			continue // the comment ahead of the first
		}
		if _, err := d.cluster.Client.CoreV1().Secrets(namespace).Create(ctx, &s, metav1.CreateOptions{}); err != nil {
			return nil, fmt.Errorf("creating secret %s/%s: %w", namespace, s.Name, err)
		}
	}
	trusted, err := d.certgen(ctx, "ca-bundle", "--kubeconfig", d.cluster.Kubeconfig, "--namespace", namespace, "--release", release,
		"--add", filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return nil, err
	}
	both := map[string]any{"global": map[string]any{"webhook": map[string]any{"caBundle": base64.StdEncoding.EncodeToString(trusted)}}}
	return helm.Values(string(text), values("manual"), both)
}

// certgen runs the program and returns what it prints.
func (d *demo) certgen(ctx context.Context, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, certgen, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running kthena-certgen %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// reportSwitches prints a line for each switch, and returns an error when a request failed in one for another reason than a
// connection that an ending server was closing.
func (d *demo) reportSwitches(switches []*modeSwitch) error {
	_, _ = fmt.Fprintln(d.print.out)
	w := tabwriter.NewWriter(d.print.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SWITCH, 3 REPLICAS\tTOOK\tREQUESTS\tFAILED")
	var broken error
	for _, s := range switches {
		r := s.report
		_, _ = fmt.Fprintf(w, "%s\t%.1fs\t%d\t%d\n", s.name, r.Duration.Seconds(), r.Sent, r.Failed)
		if r.Sent == 0 || r.Broken() > 0 || r.Closed > r.ClosedLimit() {
			broken = fmt.Errorf("%s: %d of %d requests failed: %q", s.name, r.Failed, r.Sent, r.Errors)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return broken
}
