package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// together is how many of a crowd run at the same time.
const together = 64

// crowdSizes are the numbers of bootstraps that are started together.
var crowdSizes = []int{1, 10, 100, 500}

// crowd starts n bootstraps of contender i where nothing is in place, and returns the time from the first start to the
// last exit. Every one must exit with 0 and have written the files of the one Secret.
func (b *bench) crowd(ctx context.Context, i, n int) (time.Duration, error) {
	if err := b.sites[i].reset(ctx); err != nil {
		return 0, err
	}
	dirs := make([]string, n)
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(together)
	start := time.Now()
	for k := range n {
		group.Go(func() (err error) {
			_, dirs[k], err = b.launch(gctx, i, b.kubeconfigs[i])
			return err
		})
	}
	err := group.Wait()
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	if err := b.sites[i].verify(ctx, b.contenders[i], dirs...); err != nil {
		return 0, fmt.Errorf("looking at what %d of %s left behind: %w", n, b.contenders[i].Name, err)
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			return 0, err
		}
	}
	return took, nil
}

// crowds measures every contender that can be many with every size, n times each in turn.
func (b *bench) crowds(ctx context.Context, n int) (map[int][][]time.Duration, error) {
	all := map[int][][]time.Duration{}
	for _, size := range crowdSizes {
		all[size] = make([][]time.Duration, len(b.contenders))
		for range n {
			for i, c := range b.contenders {
				if c.NoConcurrency {
					continue
				}
				took, err := b.crowd(ctx, i, size)
				if err != nil {
					return nil, err
				}
				all[size][i] = append(all[size][i], took)
			}
		}
	}
	return all, nil
}
