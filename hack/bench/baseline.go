package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// baseline is the committed ratios of the program to the yardstick.
type baseline map[string]float64

// margin is by how much a ratio may be worse than the committed one. Two runs on one machine differ by less, also when
// the machine is busy: sizes and counts hardly vary, peak RSS depends a little on the page cache, times depend on everything.
func margin(name string) float64 {
	switch {
	case name == "binary", strings.HasSuffix(name, "requests"):
		return 0.02
	case strings.HasSuffix(name, "rss"):
		return 0.10
	default:
		return 0.25
	}
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

// worse lists the ratios of now that are worse than b's by more than the margin, or are missing.
func (b baseline) worse(now map[string]float64) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(b)) {
		got, ok := now[name]
		switch {
		case !ok:
			all = append(all, fmt.Sprintf("%s was not measured", name))
		case got > b[name]*(1+margin(name)):
			all = append(all, fmt.Sprintf("%s is %.2f times the floor's: %.2f is committed, and %.0f %% more is allowed", name, got, b[name], 100*margin(name)))
		}
	}
	return all
}
