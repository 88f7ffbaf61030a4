package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"

	"github.com/volcano-sh/kthena-certgen/hack/bench/usage"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// spawn is the launcher, see its package.
const spawn = "bin/bench/spawn"

// The two cases: nothing is in place, and everything is but the files.
const (
	cold = "cold"
	warm = "warm"
)

// bench measures the contenders, each at its own site of one cluster.
type bench struct {
	cluster    *localcluster.Cluster
	contenders []contender
	sites      []*site
	// kubeconfigs lead the contenders to the API server.
	kubeconfigs []string
	// dir is for the files that the contenders write.
	dir string
}

func newBench(ctx context.Context, cluster *localcluster.Cluster, contenders []contender, dir string) (*bench, error) {
	b := &bench{cluster: cluster, contenders: contenders, dir: dir}
	for i, c := range contenders {
		s, err := newSite(ctx, cluster, i)
		if err != nil {
			return nil, fmt.Errorf("preparing the site of %s: %w", c.Name, err)
		}
		kubeconfig, err := s.writeKubeconfig(cluster.Dir, serverURL(cluster))
		if err != nil {
			return nil, err
		}
		b.sites, b.kubeconfigs = append(b.sites, s), append(b.kubeconfigs, kubeconfig)
	}
	return b, nil
}

// launch runs contender i once and returns what it took and the folder with its files.
func (b *bench) launch(ctx context.Context, i int, kubeconfig string) (usage.Usage, string, error) {
	c := b.contenders[i]
	dir, err := os.MkdirTemp(b.dir, "files-")
	if err != nil {
		return usage.Usage{}, "", err
	}
	var sum usage.Usage
	for _, argv := range c.argvs(b.sites[i], kubeconfig, dir) {
		cmd := exec.CommandContext(ctx, spawn, argv...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return sum, "", fmt.Errorf("running %s: %w: %s", c.Name, err, &stderr)
		}
		var u usage.Usage
		if err := json.Unmarshal(stdout.Bytes(), &u); err != nil {
			return sum, "", fmt.Errorf("running %s: %w", c.Name, err)
		}
		if u.Exit != 0 {
			return sum, "", fmt.Errorf("running %s: %s: exit code %d: %s", c.Name, strings.Join(argv, " "), u.Exit, &stderr)
		}
		sum = sum.Then(u)
	}
	return sum, dir, nil
}

// once runs contender i once, looks at what it left behind, and removes its files.
func (b *bench) once(ctx context.Context, i int, kubeconfig string) (usage.Usage, error) {
	u, dir, err := b.launch(ctx, i, kubeconfig)
	if err != nil {
		return u, err
	}
	if err := b.sites[i].verify(ctx, b.contenders[i], dir); err != nil {
		return u, fmt.Errorf("looking at what %s left behind: %w", b.contenders[i].Name, err)
	}
	return u, os.RemoveAll(dir)
}

// runs are the measured runs of one contender by case, one per round.
type runs map[string][]usage.Usage

// rounds runs every contender in every round, cold and then warm, in a new order each time. The first round warms up the
// page cache and the API server and is not counted.
func (b *bench) rounds(ctx context.Context, n int) ([]runs, error) {
	all := make([]runs, len(b.contenders))
	for i := range all {
		all[i] = runs{}
	}
	for round := range n + 1 {
		for _, i := range rand.Perm(len(b.contenders)) {
			if err := b.sites[i].reset(ctx); err != nil {
				return nil, fmt.Errorf("resetting the site of %s: %w", b.contenders[i].Name, err)
			}
			for _, which := range []string{cold, warm} {
				u, err := b.once(ctx, i, b.kubeconfigs[i])
				if err != nil {
					return nil, fmt.Errorf("round %d, %s: %w", round, which, err)
				}
				if round > 0 {
					all[i][which] = append(all[i][which], u)
				}
			}
		}
	}
	return all, nil
}
