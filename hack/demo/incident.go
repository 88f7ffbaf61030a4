package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

const (
	// Certificates are renewed at dueAge, or in dueWithin when they are older. They live for ten years all the same. What is renewed
	// is due again as long after that, so it is more than the pods' rolls take.
	dueAge, dueWithin = 20 * time.Second, 5 * time.Second
	// wiped is the configuration that loses its bundle.
	wiped = "kthena-registry-validating-webhook"
	// patience is how long the controller may take on a busy machine.
	patience = 3 * time.Minute
)

// incident is what happens to a release by itself or by a mistake, and what requests met until the controller had dealt with it.
type incident struct {
	name string
	// healed is the time until every entry had its CA again, served the time until every pod served the new certificate; zero where
	// that is not what had to be done.
	healed, served time.Duration
	report         probe.Report
}

// prepareNamespace makes the release's namespace, in which the controller can reach the pods.
func (d *demo) prepareNamespace(ctx context.Context) error {
	_, err := d.cluster.Client.CoreV1().Namespaces().Create(
		ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{},
	)
	if err != nil {
		return fmt.Errorf("creating namespace %s: %w", namespace, err)
	}
	return d.cluster.LetForward(ctx, namespace, controller)
}

// leaveAlone watches what the controller does while nobody else does anything.
func (d *demo) leaveAlone(ctx context.Context, rows []*row) ([]*incident, error) {
	before, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	wipe := &incident{name: "a configuration's caBundles wiped"}
	renewal := &incident{name: "certificates renewed when due"}
	d.print.step("Wiping the caBundles of %s", wiped)
	if err := d.during(ctx, wipe, d.wipe); err != nil {
		return nil, err
	}
	d.print.done("there again after %s, %d of %d requests failed", inSeconds(wipe.healed), wipe.report.Failed, wipe.report.Sent)
	renewBefore, err := d.hasten(ctx, rows)
	if err != nil {
		return nil, err
	}
	d.print.step("Waiting until the certificates are due, %s before their end", renewBefore.Round(time.Second))
	err = d.during(ctx, renewal, func(ctx context.Context, i *incident) error { return d.awaitRenewal(ctx, i, before) })
	if err != nil {
		return nil, err
	}
	d.print.done(
		"all serve the new one after %s, %d of %d requests failed", inSeconds(renewal.served), renewal.report.Failed, renewal.report.Sent,
	)
	return []*incident{wipe, renewal}, nil
}

// during lets an incident happen while objects are sent.
func (d *demo) during(ctx context.Context, i *incident, happen func(context.Context, *incident) error) error {
	targets, err := probe.Targets(ctx, d.cluster.Config, release, namespace)
	if err != nil {
		return err
	}
	p := probe.Start(ctx, targets, rate)
	err = happen(ctx, i)
	i.report = p.Stop()
	return err
}

// wipe takes the CA out of every entry of a configuration, and waits until it is there again and the API server has learned of it.
func (d *demo) wipe(ctx context.Context, i *incident) error {
	client := d.cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	c, err := client.Get(ctx, wiped, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading validating webhook configuration %s: %w", wiped, err)
	}
	lost := c.DeepCopy()
	for n := range lost.Webhooks {
		lost.Webhooks[n].ClientConfig.CABundle = nil
	}
	begun := time.Now()
	if _, err := client.Update(ctx, lost, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("wiping validating webhook configuration %s: %w", wiped, err)
	}
	err = await(ctx, 2*time.Millisecond, "every entry of "+wiped+" to have its CA again", func(ctx context.Context) (bool, error) {
		now, err := client.Get(ctx, wiped, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("reading validating webhook configuration %s: %w", wiped, err)
		}
		for n, entry := range now.Webhooks {
			was, _ := gen.ParseCertificates(c.Webhooks[n].ClientConfig.CABundle)
			live, _ := gen.ParseCertificates(entry.ClientConfig.CABundle)
			if !live.ContainsAll(was, time.Now()) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	i.healed = time.Since(begun)
	targets, err := probe.Targets(ctx, d.cluster.Config, release, namespace)
	if err != nil {
		return err
	}
	return await(ctx, 50*time.Millisecond, "every entry to be answered", func(ctx context.Context) (bool, error) {
		failing := slices.ContainsFunc(targets, func(t probe.Target) bool { return t.Send(ctx, true) != nil })
		return !failing, nil
	})
}

// hasten tells the controller, and it alone, to renew certificates long before their last third, so that they are due now. A
// change of the chart's value would roll the pods, whose init containers would be the ones to renew.
func (d *demo) hasten(ctx context.Context, rows []*row) (renewBefore time.Duration, err error) {
	renewBefore = gen.DefaultValidity - dueAge
	for _, r := range rows {
		renewBefore = min(renewBefore, time.Until(r.notAfter)-dueWithin)
	}
	core := d.cluster.Client.CoreV1()
	m, err := core.ConfigMaps(namespace).Get(ctx, controller, metav1.GetOptions{})
	if err != nil {
		return 0, fmt.Errorf("reading configmap %s/%s: %w", namespace, controller, err)
	}
	config := map[string]any{}
	if err := yaml.Unmarshal([]byte(m.Data["config.yaml"]), &config); err != nil {
		return 0, fmt.Errorf("reading configmap %s/%s: %w", namespace, controller, err)
	}
	config["renewBefore"] = renewBefore.String()
	text, err := yaml.Marshal(config)
	if err != nil {
		return 0, fmt.Errorf("changing configmap %s/%s: %w", namespace, controller, err)
	}
	m.Data["config.yaml"] = string(text)
	if _, err := core.ConfigMaps(namespace).Update(ctx, m, metav1.UpdateOptions{}); err != nil {
		return 0, fmt.Errorf("changing configmap %s/%s: %w", namespace, controller, err)
	}
	its := metav1.ListOptions{LabelSelector: labelComponent + "=" + controller}
	if err := core.Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, its); err != nil {
		return 0, fmt.Errorf("replacing the pod of the controller: %w", err)
	}
	return renewBefore, nil
}

// awaitRenewal waits until no pod serves a certificate that was served before, and the pods that did have ended.
func (d *demo) awaitRenewal(ctx context.Context, i *incident, before sets.Set[string]) error {
	old, err := d.pods(ctx)
	if err != nil {
		return err
	}
	err = await(ctx, 50*time.Millisecond, "the certificates to be renewed", func(ctx context.Context) (bool, error) {
		return d.renewed(ctx, before)
	})
	if err != nil {
		return err
	}
	d.print.done("renewed")
	begun := time.Now()
	d.print.step("The controller rolls the pods, one Deployment at a time")
	err = await(ctx, 200*time.Millisecond, "every pod to serve the new certificate", func(ctx context.Context) (bool, error) {
		now, err := d.look(ctx)
		return err == nil && now.Len() >= before.Len() && now.Intersection(before).Len() == 0, err
	})
	if err != nil {
		return err
	}
	i.served = time.Since(begun)
	return await(ctx, 100*time.Millisecond, "the old pods to end", func(ctx context.Context) (bool, error) {
		now, err := d.pods(ctx)
		return err == nil && now.Intersection(old).Len() == 0, err
	})
}

// pods are the names of those of the components.
func (d *demo) pods(ctx context.Context) (sets.Set[string], error) {
	list, err := d.cluster.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: ofComponents})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	names := sets.New[string]()
	for _, p := range list.Items {
		names.Insert(p.Name)
	}
	return names, nil
}

// renewed reports whether a Secret of the release holds a certificate that was not served before.
func (d *demo) renewed(ctx context.Context, before sets.Set[string]) (bool, error) {
	list, err := d.cluster.Client.CoreV1().Secrets(namespace).List(
		ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=kthena-certgen"},
	)
	if err != nil {
		return false, fmt.Errorf("listing secrets: %w", err)
	}
	for _, s := range list.Items {
		certs, _ := gen.ParseCertificates(s.Data[corev1.TLSCertKey])
		if len(certs) == 0 {
			return false, fmt.Errorf("secret %s/%s holds no certificate", namespace, s.Name)
		}
		if !before.Has(gen.Fingerprint(certs[0])) {
			return true, nil
		}
	}
	return false, nil
}

// look returns the fingerprints of all that the ready pods serve. It is empty while one cannot be asked.
func (d *demo) look(ctx context.Context) (sets.Set[string], error) {
	raw, err := kube.NewRaw(d.cluster.Config, time.Now)
	if err != nil {
		return nil, err
	}
	dialer, err := kube.NewPortForward(d.cluster.Config, raw)
	if err != nil {
		return nil, err
	}
	report, err := (&verify.Verifier{API: raw, Dialer: dialer, Release: release, Namespace: namespace, Now: time.Now}).Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking at what the pods of release %s serve: %w", release, err)
	}
	served := sets.New[string]()
	for _, s := range report.Servers {
		for _, e := range s.Endpoints {
			if e.Certificate == nil {
				return nil, nil
			}
			served.Insert(e.Certificate.Fingerprint)
		}
	}
	return served, nil
}

// await asks again and again until the answer is yes.
func await(ctx context.Context, interval time.Duration, what string, ask func(context.Context) (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, interval, patience, true, ask)
	if wait.Interrupted(err) {
		return fmt.Errorf("waited in vain for %s for %s", what, patience)
	}
	return err
}

// reportIncidents prints a line for each incident, and returns an error when a request failed that must not.
func (d *demo) reportIncidents(incidents []*incident) error {
	_, _ = fmt.Fprintln(d.print.out)
	w := tabwriter.NewWriter(d.print.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "NOBODY ACTS, 3 REPLICAS\tHEALED\tSERVED\tREQUESTS\tFAILED")
	for _, i := range incidents {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", i.name, inSeconds(i.healed), inSeconds(i.served), i.report.Sent, i.report.Failed)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(d.print.out)
	return verifyIncidents(incidents)
}

// verifyIncidents returns an error when requests failed, for another reason than a connection that an ending server was closing,
// although the release was trusted all the time.
func verifyIncidents(incidents []*incident) error {
	for _, i := range incidents {
		r := i.report
		// Until a bundle that was wiped is there again, nothing can be answered.
		if r.Sent == 0 || i.healed == 0 && (r.Broken() > 0 || r.Closed > r.ClosedLimit()) {
			return fmt.Errorf("%s: %d of %d requests failed: %q", i.name, r.Failed, r.Sent, r.Errors)
		}
	}
	return nil
}

// inSeconds is a duration as part of a table, a dash when it is zero.
func inSeconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
