package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints the table and the figures, and returns an error when they do not bear out what the demo claims.
func (d *demo) report(ctx context.Context, rows []*row) error {
	out := d.print.out
	_, _ = fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "COMPONENT\tSECRET\tCREATED BY\tREUSED BY\tCA\tEXPIRES\tADMITTED\tREFUSED\tRESTARTS")
	var elapsed []time.Duration
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d pod\t%d pods\t%s\t%s\t%d of %d\t%d of %d\t%d\n", r.component, strings.TrimPrefix(r.secret, namespace+"/"),
			r.created, r.reused, r.caFingerprint[:len("sha256:")+12], r.notAfter.Format(time.DateOnly), r.admitted, r.entries, r.refused, r.entries, r.restarts)
		elapsed = append(elapsed, r.elapsed...)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	info, err := os.Stat(certgen)
	if err != nil {
		return err
	}
	requests, pods, entries := 0, 0, 0
	for _, r := range rows {
		pods += r.pods
		entries += r.entries
		seen, err := d.cluster.Requests("system:serviceaccount:" + namespace + ":" + r.component)
		if err != nil {
			return err
		}
		requests += len(seen)
	}
	slices.Sort(elapsed)
	_, _ = fmt.Fprintf(out, "\nkthena-certgen: %.1f MiB, static; %d runs, each %s (median; %s to %s) with up to %d others at once; %d API requests in all\n",
		float64(info.Size())/(1<<20), len(elapsed), elapsed[len(elapsed)/2], elapsed[0], elapsed[len(elapsed)-1], len(elapsed)-1, requests)
	_, _ = fmt.Fprintf(out, "cluster: started in %.1fs; %d pods ready %.1fs after helm install began; %d webhook entries asked twice each; %.1fs in all\n",
		d.started.Seconds(), pods, d.ready.Seconds(), entries, time.Since(d.print.begun).Seconds())
	if err := verify(rows); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "\nEverything above was observed on this cluster.")
	return ctx.Err()
}

// wait says what can be tried and waits until ctx ends.
func (d *demo) wait(ctx context.Context) {
	program, err := filepath.Abs(certgen)
	if err != nil {
		program = certgen
	}
	_, _ = fmt.Fprintf(d.print.out, `
The cluster runs until you press Ctrl-C here. In another terminal:

  export KUBECONFIG=%s
  kubectl --namespace %s get pods,secrets
  helm upgrade %s %s --namespace %s --reuse-values --set workload.controllerManager.replicas=2
  %s bootstrap --namespace %s --secret-name registry-webhook-certs-auto --dns-name registry-webhook.%s.svc \
    --mutating-webhook-configuration kthena-registry-mutating-webhook --validating-webhook-configuration kthena-registry-validating-webhook
`, d.cluster.Kubeconfig, namespace, release, chart, namespace, program, namespace, namespace)
	<-ctx.Done()
}
