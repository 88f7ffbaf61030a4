package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

const (
	labelComponent = "app.kubernetes.io/component"
	// ofComponents selects the pods of the components, without the controller.
	ofComponents = "app.kubernetes.io/instance=" + release + "," + labelComponent + "!=" + controller
)

// demo is what the steps share.
type demo struct {
	cluster *localcluster.Cluster
	kubelet *localcluster.Kubelet
	print   *printer
	// started is how long the cluster took to start, ready the release to be ready.
	started, ready time.Duration
	// requests is the number of API requests of the install's bootstraps.
	requests int
	// byController is how many Secrets the controller has made, which may be faster than every pod of a component.
	byController int
}

// row is what was seen of one component.
type row struct {
	component     string
	secret        string
	created       int
	reused        int
	restarts      int
	pods          int
	caFingerprint string
	notAfter      time.Time
	elapsed       []time.Duration // of each bootstrap
	admitted      int
	refused       int
	entries       int
}

// summary is what the demo reads of the line that a bootstrap ends with.
type summary struct {
	Secret        string
	Outcome       string
	CAFingerprint string
	NotAfter      time.Time
	Elapsed       string
}

// showReadiness shows how many pods are ready until ctx ends.
func (d *demo) showReadiness(ctx context.Context) {
	for ctx.Err() == nil {
		list, err := d.cluster.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			ready := 0
			for _, p := range list.Items {
				if slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
					return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
				}) {
					ready++
				}
			}
			d.print.progress("%d of %d pods are ready", ready, pods)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// observe looks at the pods and asks every webhook entry.
func (d *demo) observe(ctx context.Context) ([]*row, error) {
	rows := map[string]*row{}
	list, err := d.cluster.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: ofComponents})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	for _, pod := range list.Items {
		name := pod.Labels[labelComponent]
		if rows[name] == nil {
			rows[name] = &row{component: name}
		}
		if err := d.addPod(rows[name], pod); err != nil {
			return nil, err
		}
	}
	targets, err := probe.Targets(ctx, d.cluster.Config, release, namespace)
	if err != nil {
		return nil, err
	}
	for i, t := range targets {
		d.print.progress("%d of %d", i+1, len(targets))
		r := rows[t.Component]
		if r == nil {
			return nil, fmt.Errorf("webhook %s belongs to component %q, of which there is no pod", t.Entry, t.Component)
		}
		r.entries++
		if err := t.Send(ctx, true); err != nil {
			return nil, err
		}
		r.admitted++
		if err := t.Send(ctx, false); err != nil {
			return nil, err
		}
		r.refused++
	}
	var sorted []*row
	for _, r := range rows {
		sorted = append(sorted, r)
		seen, err := d.requestsOf(r.component)
		if err != nil {
			return nil, err
		}
		d.requests += len(seen)
	}
	acts, err := d.requestsOf(controller)
	if err != nil {
		return nil, err
	}
	d.byController = localcluster.Count(acts)["create secrets 201"]
	slices.SortFunc(sorted, func(a, b *row) int { return strings.Compare(a.component, b.component) })
	return sorted, nil
}

// requestsOf are the requests of a service account of the release.
func (d *demo) requestsOf(account string) ([]localcluster.Request, error) {
	return d.cluster.Requests("system:serviceaccount:" + namespace + ":" + account)
}

// addPod counts a pod, and what its init container did.
func (d *demo) addPod(r *row, pod corev1.Pod) error {
	r.pods++
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		r.restarts += int(c.RestartCount)
	}
	log, err := d.kubelet.Logs(namespace, pod.Name, "certgen")
	if err != nil {
		return err
	}
	var s summary
	if err := json.Unmarshal(lastLine(log), &s); err != nil {
		return fmt.Errorf("reading what certgen printed in pod %s: %w", pod.Name, err)
	}
	elapsed, err := time.ParseDuration(s.Elapsed)
	if err != nil {
		return fmt.Errorf("reading what certgen printed in pod %s: %w", pod.Name, err)
	}
	switch s.Outcome {
	case "created":
		r.created++
	case "reused":
		r.reused++
	}
	if r.caFingerprint != "" && r.caFingerprint != s.CAFingerprint {
		return fmt.Errorf("the pods of %s have different CAs", r.component)
	}
	r.secret, r.caFingerprint, r.notAfter = s.Secret, s.CAFingerprint, s.NotAfter
	r.elapsed = append(r.elapsed, elapsed)
	return nil
}

func lastLine(text []byte) []byte {
	text = bytes.TrimSpace(text)
	return text[bytes.LastIndexByte(text, '\n')+1:]
}

// verifyRows reports what the rows do not show although the demo claims it: that one process alone has made each Secret, a pod
// or the controller, and every other pod has used it.
func verifyRows(rows []*row, byController int) error {
	var errs []error
	entries, byPods := 0, 0
	for _, r := range rows {
		entries += r.entries
		byPods += r.created
		if r.pods != replicas || r.created > 1 || r.created+r.reused != replicas {
			errs = append(errs, fmt.Errorf("%s: of %d pods %d created the Secret and %d reused it: want at most 1, and the rest of %d",
				r.component, r.pods, r.created, r.reused, replicas))
		}
		if r.restarts != 0 {
			errs = append(errs, fmt.Errorf("%s: containers restarted %d times", r.component, r.restarts))
		}
	}
	if byPods+byController != len(rows) {
		errs = append(errs, fmt.Errorf("pods created %d Secrets and the controller %d: want %d in all", byPods, byController, len(rows)))
	}
	if len(rows) != 3 || entries != 7 {
		errs = append(errs, fmt.Errorf("saw %d components with %d webhook entries: want 3 with 7", len(rows), entries))
	}
	return errors.Join(errs...)
}

// madeBy says who has made the Secret.
func (r *row) madeBy() string {
	if r.created == 0 {
		return "controller"
	}
	return fmt.Sprintf("%d pod", r.created)
}
