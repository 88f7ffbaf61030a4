// Command bench measures programs that bootstrap a webhook's certificate, side by side on one local Kubernetes cluster,
// and prints how they compare. docs/performance.md says how it measures and what was found.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// subject is the contender whose ratios are committed.
const subject = "kthena-certgen"

type options struct {
	contenders, peers, out, baseline string
	rounds, crowds                   int
	check, update                    bool
}

func main() {
	var o options
	flag.StringVar(&o.contenders, "contenders", "hack/bench/contenders.json", "the programs, the yardstick first")
	flag.StringVar(&o.peers, "peers", "", "more programs to measure beside them: docs/performance.md says how they are given")
	flag.IntVar(&o.rounds, "rounds", 30, "runs of each program per case")
	flag.IntVar(&o.crowds, "crowds", 3, "runs of each program per number of bootstraps at once; 0 for none")
	flag.StringVar(&o.out, "out", "", "file for everything that was measured, as JSON")
	flag.StringVar(&o.baseline, "baseline", "hack/bench/baseline.json", "the committed ratios")
	flag.BoolVar(&o.check, "check", false, "fail when a ratio is worse than the committed one")
	flag.BoolVar(&o.update, "update", false, "write the ratios as those to commit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	contenders, err := readContenders(o.contenders)
	if err != nil {
		return err
	}
	if o.peers != "" {
		peers, err := readPeers(o.peers, contenders)
		if err != nil {
			return err
		}
		contenders = append(contenders, peers...)
	}
	dir, err := os.MkdirTemp(memory(), "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cluster, err := localcluster.Start(ctx, localcluster.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	r, err := measure(ctx, o, cluster, contenders, dir)
	if err != nil {
		return err
	}
	r.print(os.Stdout)
	if o.out != "" {
		if err := writeJSON(o.out, r); err != nil {
			return err
		}
	}
	return compare(o, r)
}

// memory is a folder in memory, where the chart's volume is too, or the system's for temporary files.
func memory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return os.TempDir()
}

func measure(ctx context.Context, o options, cluster *localcluster.Cluster, contenders []contender, dir string) (report, error) {
	r := report{Date: time.Now().UTC().Format(time.DateOnly), Machine: machine(), Kubernetes: cluster.Version(), Rounds: o.rounds}
	cases, err := renderCases(dir)
	if err != nil {
		return r, err
	}
	if r.Renders, err = renders(cases, cluster.Version(), o.rounds); err != nil {
		return r, err
	}
	b, err := newBench(ctx, cluster, contenders, dir)
	if err != nil {
		return r, err
	}
	rounds, err := b.rounds(ctx, o.rounds)
	if err != nil {
		return r, err
	}
	crowds, err := b.crowds(ctx, o.crowds)
	if err != nil {
		return r, err
	}
	for i, c := range contenders {
		res := result{Name: c.Name, Lacks: c.lacks(), peer: c.peer, Cases: map[string]figure{}, Crowds: map[int]spread{}}
		if res.Binary, err = c.size(); err != nil {
			return r, err
		}
		if res.Wire, err = b.wires(ctx, i); err != nil {
			return r, err
		}
		for which, runs := range rounds[i] {
			res.Cases[which] = figureOf(runs)
		}
		for n, took := range crowds {
			var ms []float64
			for _, d := range took[i] {
				ms = append(ms, millis(d))
			}
			if len(ms) > 0 {
				res.Crowds[n] = spreadOf(ms)
			}
		}
		r.Contenders = append(r.Contenders, res)
		r.Contenders[i].addRatios(r.Contenders[0], rounds[i], rounds[0])
	}
	return r, nil
}

// compare holds the subject's ratios against the committed ones, or writes them to be committed, and those of peers apart.
func compare(o options, r report) error {
	for _, c := range r.Contenders {
		if c.Name != subject {
			continue
		}
		if o.update {
			return errors.Join(writeJSON(o.baseline, c.Ratios.rounded()), r.writePeers())
		}
		if o.check {
			committed, err := readBaseline(o.baseline)
			if err != nil {
				return err
			}
			if worse := committed.worse(c.Ratios); len(worse) > 0 {
				return errors.New(strings.Join(worse, "; "))
			}
		}
		return nil
	}
	return fmt.Errorf("comparing with the committed ratios: no contender is called %s", subject)
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
