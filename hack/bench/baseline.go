package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

// baseline is the ratios of the program to the yardstick, by case and measure; those that are committed say what it may cost.
type baseline map[string]spread

// leastMargin is the margin of what hardly varies, sizes and counts, and of rounds that happen to be alike.
const leastMargin = 0.02

// margin is by how much now may exceed the committed ratio: by the distance between the quartiles of single rounds, in the
// committed run or in this one, whichever is larger, since a busy machine spreads them. It is several times what chance does
// to a median: of n rounds that strays by about the same distance divided by the root of n.
func margin(committed, now spread) float64 {
	return max(committed.High-committed.Low, now.High-now.Low, leastMargin*committed.Median)
}

func readBaseline(path string) (baseline, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the committed ratios: %w", err)
	}
	var b baseline
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("reading the committed ratios of %s: %w", path, err)
	}
	return b, nil
}

// rounded is b with the digits that mean something.
func (b baseline) rounded() baseline {
	round := func(x float64) float64 { return math.Round(x*1000) / 1000 }
	all := baseline{}
	for name, s := range b {
		all[name] = spread{round(s.Median), round(s.Low), round(s.High)}
	}
	return all
}

// worse lists the ratios of now that are worse than b's by more than the margin, or are missing.
func (b baseline) worse(now baseline) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(b)) {
		got, ok := now[name]
		if !ok {
			all = append(all, fmt.Sprintf("%s was not measured", name))
			continue
		}
		if allowed := b[name].Median + margin(b[name], got); got.Median > allowed {
			all = append(
				all,
				fmt.Sprintf("%s is %.2f times the floor's: %.2f is committed, and up to %.2f is allowed", name, got.Median, b[name].Median, allowed),
			)
		}
	}
	return all
}
