// Command demo installs the chart on a local Kubernetes cluster, runs its pods, shows that every webhook entry admits and
// refuses as it must, lets the controller heal and renew, and switches between the modes while requests are sent. It exits 0
// only when everything that it claims was seen.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
	"github.com/volcano-sh/kthena-certgen/test/rig/crds"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

const (
	release   = "kthena"
	namespace = "kthena-system"
	chart     = "charts/kthena"
	certgen   = "bin/kthena-certgen"
	standin   = "bin/standin"
	replicas  = 3
	// controller is the name of the controller's Deployment and service account.
	controller = "kthena-certgen"
)

// pods is the number of those of the components and the controller.
const pods = 3*replicas + 1

func main() {
	keep := flag.Bool("keep", false, "leave the cluster running until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool) (err error) {
	p := newPrinter(os.Stdout)
	p.step("Starting a local API server")
	cluster, err := localcluster.Start(ctx, localcluster.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	started := p.done("Kubernetes %s on %s, no containers, no root", cluster.Version(), cluster.Config.Host)

	p.step("Installing test CRDs for Kthena's five kinds")
	if err := crds.Install(ctx, cluster.Config); err != nil {
		return err
	}
	p.done("")
	// Only the switches need it. It takes its time to start; to build it, once, takes so much that the rest comes first.
	certManager := make(chan error, 1)
	startCertManager := func() {
		go func() {
			_, err := controlplane.Ensure(ctx, []string{controlplane.CertManager}, io.Discard)
			if err == nil {
				err = cluster.StartCertManager(ctx)
			}
			certManager <- err
		}()
	}
	_, notBuilt := controlplane.Find(controlplane.CertManager)
	if notBuilt == nil {
		startCertManager()
	}

	kubelet, err := cluster.RunPods(ctx, localcluster.PodOptions{Images: localcluster.Images{
		"kthena-certgen":            certgen,
		"kthena-controller-manager": standin,
		"kthena-router":             standin,
	}})
	if err != nil {
		return err
	}
	d := &demo{cluster: cluster, kubelet: kubelet, print: p, started: started}

	p.step("helm install %s %s, %d replicas of each component", release, chart, replicas)
	client, err := helm.New(cluster.Kubeconfig, namespace)
	if err != nil {
		return err
	}
	if err := d.prepareNamespace(ctx); err != nil {
		return err
	}
	watched, unwatch := context.WithCancel(ctx)
	go d.showReadiness(watched)
	_, err = client.Install(ctx, release, chart, values("auto"), helm.ReleaseOptions{Wait: true, Timeout: time.Minute})
	unwatch()
	if err != nil {
		return err
	}
	d.ready = p.done("every pod is ready")

	p.step("Creating a valid and an invalid object for each webhook entry (dry run)")
	rows, err := d.observe(ctx)
	if err != nil {
		return err
	}
	p.done("")
	if err := d.reportComponents(rows); err != nil {
		return err
	}

	if notBuilt != nil {
		startCertManager()
	}
	incidents, err := d.leaveAlone(ctx, rows)
	if err != nil {
		return err
	}
	if err := d.reportIncidents(incidents); err != nil {
		return err
	}

	if notBuilt == nil {
		p.step("Starting cert-manager")
	} else {
		p.step("Building cert-manager and starting it")
	}
	if err := <-certManager; err != nil {
		return err
	}
	p.done("the real one")
	switches, err := d.switchModes(ctx, client)
	if err != nil {
		return err
	}
	if err := d.reportSwitches(switches); err != nil {
		return err
	}
	if err := d.reportFigures(rows); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, _ = fmt.Fprintln(p.out, "\nEverything above was observed on this cluster.")
	if keep {
		d.wait(ctx)
	}
	return nil
}

// values choose a mode, and the replicas and the settle time of the demo.
func values(mode string) map[string]any {
	// The five minutes that the router gives its streams are not waited for.
	component := func() map[string]any { return map[string]any{"replicas": replicas, "preStopSeconds": 5} }
	return map[string]any{
		"global": map[string]any{
			"certManagementMode": mode,
			// The API servers' caches, for which the default leaves ten seconds, are those of this one machine.
			"certgen": map[string]any{"controller": map[string]any{"settle": "1s"}},
		},
		"registry":   map[string]any{"controllerManager": component()},
		"workload":   map[string]any{"controllerManager": component()},
		"networking": map[string]any{"kthenaRouter": component()},
	}
}
