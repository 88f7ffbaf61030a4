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

// reportComponents prints a line for each component, and returns an error when they do not bear out what the demo claims.
func (d *demo) reportComponents(rows []*row) error {
	_, _ = fmt.Fprintln(d.print.out)
	w := tabwriter.NewWriter(d.print.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "COMPONENT\tSECRET\tMADE BY\tREUSED BY\tCA\tEXPIRES\tADMITTED\tREFUSED\tRESTARTS")
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d pods\t%s\t%s\t%d of %d\t%d of %d\t%d\n", r.component,
			strings.TrimPrefix(r.secret, namespace+"/"), r.madeBy(), r.reused, r.caFingerprint[:len("sha256:")+8],
			r.notAfter.Format(time.DateOnly), r.admitted, r.entries, r.refused, r.entries, r.restarts)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(d.print.out)
	return verifyRows(rows, d.byController)
}

// reportFigures prints what the program and the cluster needed for the install.
func (d *demo) reportFigures(rows []*row) error {
	info, err := os.Stat(certgen)
	if err != nil {
		return err
	}
	var elapsed []time.Duration
	entries := 0
	for _, r := range rows {
		elapsed = append(elapsed, r.elapsed...)
		entries += r.entries
	}
	slices.Sort(elapsed)
	_, _ = fmt.Fprintf(d.print.out, "\nkthena-certgen: %.1f MiB, static; %d runs for the install, each %s (%s to %s), %d others at once; "+
		"%d API requests\n",
		float64(info.Size())/(1<<20), len(elapsed), elapsed[len(elapsed)/2], elapsed[0], elapsed[len(elapsed)-1], len(elapsed)-1, d.requests)
	_, _ = fmt.Fprintf(d.print.out, "cluster: started in %.1fs; %d pods ready %.1fs after helm install began; %d webhook entries asked "+
		"twice each; %.1fs in all\n",
		d.started.Seconds(), pods, d.ready.Seconds(), entries, time.Since(d.print.begun).Seconds())
	return nil
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
  kubectl --namespace %s get pods,secrets,events
  kubectl patch validatingwebhookconfiguration kthena-registry-validating-webhook --type json \
    --patch '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]'
  %s verify --namespace %s
  helm upgrade %s %s --namespace %s --reuse-values --set workload.controllerManager.replicas=2
  %s bootstrap --namespace %s --secret-name registry-webhook-certs-auto --dns-name registry-webhook.%s.svc \
    --mutating-webhook-configuration kthena-registry-mutating-webhook --validating-webhook-configuration kthena-registry-validating-webhook
`, d.cluster.Kubeconfig, namespace, program, namespace, release, chart, namespace, program, namespace, namespace)
	<-ctx.Done()
}
