// Package charttest installs the chart on a local cluster for tests and asserts what users would see: pods that are ready
// without a restart, webhook entries that admit and refuse, and no admission request that fails meanwhile.
//
// The names of webhook configurations belong to the whole cluster, so one release is there at a time and tests that share a
// cluster are not parallel.
package charttest

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
	"github.com/volcano-sh/kthena-certgen/test/rig/crds"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// volumeDelay is how late a changed Secret reaches a pod's volume. It is short so that a test of renewal does not take minutes:
// Kthena's servers load their files once, so nothing else depends on it.
const volumeDelay = time.Second

// Environment is a cluster with Kthena's kinds whose pods run, and where the files of the repository are.
type Environment struct {
	*localcluster.Cluster
	Kubelet *localcluster.Kubelet
	// Root is the root of the repository.
	Root string
	// ChartPath is the chart's folder or package, and the repository's if it is empty.
	ChartPath string
}

// Options say what a cluster has besides Kthena's kinds and pods.
type Options struct {
	// CertManager makes the real cert-manager run.
	CertManager bool
	// AggregatorRouting makes the API server choose the endpoints of webhooks itself; see localcluster.Options.
	AggregatorRouting bool
}

// Main is the TestMain of a package whose tests share one environment: it starts it into *e, or connects it, runs the tests,
// stops it and exits. The programs that pods run must have been built (make build).
func Main(m *testing.M, o Options, e **Environment) {
	flag.Parse()
	os.Exit(func() (code int) {
		ctx := context.Background()
		env, stop, err := open(ctx, o)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() {
			if err := stop(ctx); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
		*e = env
		return m.Run()
	}())
}

// open starts or connects an environment, which stop ends or leaves.
func open(ctx context.Context, o Options) (e *Environment, stop func(context.Context) error, err error) {
	if *Connected {
		return Connect(ctx)
	}
	if e, err = Start(ctx, o); err != nil {
		return nil, nil, err
	}
	return e, func(context.Context) error { return e.Stop() }, nil
}

// Start starts an environment. The caller stops it.
func Start(ctx context.Context, o Options) (*Environment, error) {
	root, err := controlplane.Root()
	if err != nil {
		return nil, err
	}
	cluster, err := localcluster.Start(ctx, localcluster.Options{AggregatorRouting: o.AggregatorRouting})
	if err != nil {
		return nil, err
	}
	e := &Environment{Cluster: cluster, Root: root}
	if err := e.fill(ctx, o); err != nil {
		_ = cluster.Stop()
		return nil, err
	}
	return e, nil
}

// fill brings what the chart needs into a fresh cluster.
func (e *Environment) fill(ctx context.Context, o Options) error {
	if err := crds.Install(ctx, e.Config); err != nil {
		return err
	}
	if o.CertManager {
		if err := e.StartCertManager(ctx); err != nil {
			return err
		}
	}
	standin := e.Program("standin")
	kubelet, err := e.RunPods(ctx, localcluster.PodOptions{Images: localcluster.Images{
		"kthena-certgen": e.Program("kthena-certgen"), "kthena-controller-manager": standin, "kthena-router": standin,
	}, VolumeDelay: volumeDelay})
	if err != nil {
		return fmt.Errorf("%w (run make build first)", err)
	}
	e.Kubelet = kubelet
	return nil
}

// Program is the path of a program that make build has built.
func (e *Environment) Program(name string) string { return filepath.Join(e.Root, "bin", name) }

// Chart is the folder or the package of the chart.
func (e *Environment) Chart() string {
	return cmp.Or(e.ChartPath, filepath.Join(e.Root, "charts", "kthena"))
}
