package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/volcano-sh/kthena-certgen/hack/bench/usage"
)

// spread is the median of some values and their quartiles.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	return spread{v[len(v)/2], v[len(v)/4], v[len(v)*3/4]}
}

func (s spread) String() string { return fmt.Sprintf("%.1f (%.1f-%.1f)", s.Median, s.Low, s.High) }

// report is all that was measured.
type report struct {
	Date       string      `json:"date"`
	Machine    string      `json:"machine"`
	Kubernetes string      `json:"kubernetes"`
	Rounds     int         `json:"rounds"`
	Contenders []result    `json:"contenders"`
	Renders    []rendering `json:"renders"`
}

// result is what was measured of one contender.
type result struct {
	Name string `json:"name"`
	// Lacks is what of the job the contender does not do.
	Lacks  string            `json:"lacks,omitempty"`
	Binary int64             `json:"binary"` // bytes
	Cases  map[string]figure `json:"cases"`
	Wire   map[string]wire   `json:"wire"`
	// Crowds are milliseconds by the number of bootstraps.
	Crowds map[int]spread `json:"crowds,omitempty"`
	// Ratios are to the yardstick, by the names that the baseline has.
	Ratios baseline `json:"ratios"`
	peer   bool
}

// label is what the tables call r.
func (r result) label() string {
	if r.Lacks == "" {
		return r.Name
	}
	return r.Name + " (" + r.Lacks + ")"
}

// figure is one case of a contender.
type figure struct {
	WallMS spread `json:"wallMs"`
	CPUMS  spread `json:"cpuMs"`
	RSSMiB spread `json:"rssMiB"`
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func mib(bytes int64) float64        { return float64(bytes) / (1 << 20) }

// What the kernel says of a run.
func wallOf(u usage.Usage) float64 { return millis(u.Wall) }
func cpuOf(u usage.Usage) float64  { return millis(u.CPU) }
func rssOf(u usage.Usage) float64  { return mib(u.RSS) }

func spreadOfRuns(all []usage.Usage, of func(usage.Usage) float64) spread {
	values := make([]float64, len(all))
	for i, u := range all {
		values[i] = of(u)
	}
	return spreadOf(values)
}

func figureOf(all []usage.Usage) figure {
	return figure{spreadOfRuns(all, wallOf), spreadOfRuns(all, cpuOf), spreadOfRuns(all, rssOf)}
}

// ratioOf compares two contenders: the ratio of their medians, and the quartiles of the ratios within one round, which hold
// on a busy machine too.
func ratioOf(own, yardstick []usage.Usage, of func(usage.Usage) float64) spread {
	ratios := make([]float64, len(own))
	for i, u := range own {
		ratios[i] = of(u) / of(yardstick[i])
	}
	s := spreadOf(ratios)
	s.Median = spreadOfRuns(own, of).Median / spreadOfRuns(yardstick, of).Median
	return s
}

// addRatios compares r with the yardstick, of which the runs of all cases are given.
func (r *result) addRatios(yardstick result, own, theirs runs) {
	exact := func(own, theirs int64) spread {
		ratio := float64(own) / float64(theirs)
		return spread{ratio, ratio, ratio}
	}
	r.Ratios = baseline{"binary": exact(r.Binary, yardstick.Binary)}
	for name := range r.Cases {
		r.Ratios[name+" wall"] = ratioOf(own[name], theirs[name], wallOf)
		r.Ratios[name+" cpu"] = ratioOf(own[name], theirs[name], cpuOf)
		r.Ratios[name+" rss"] = ratioOf(own[name], theirs[name], rssOf)
		r.Ratios[name+" requests"] = exact(int64(r.Wire[name].Requests), int64(yardstick.Wire[name].Requests))
	}
}

func machine() string {
	return fmt.Sprintf("%d cores, %s, %s/%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// print writes r as tables in Markdown.
func (r report) print(w io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	p("%s, %s, Kubernetes %s, %d interleaved rounds. Medians, quartiles in brackets.", r.Date, r.Machine, r.Kubernetes, r.Rounds)
	p(
		"\n| | binary MiB | case | wall ms | CPU ms | peak RSS MiB | requests | connections | bytes sent | received " +
			"|\n|---|--:|---|--:|--:|--:|--:|--:|--:|--:|",
	)
	for _, c := range r.Contenders {
		for _, which := range []string{cold, warm} {
			f, on := c.Cases[which], c.Wire[which]
			p(
				"| %s | %.1f | %s | %s | %s | %s | %d | %d | %d | %d |", c.label(), mib(c.Binary), which, f.WallMS, f.CPUMS, f.RSSMiB, on.Requests,
				on.Connections, on.Sent, on.Received,
			)
		}
	}
	p(
		"\nRatio to %s: of the medians, and the quartiles of the ratios of single rounds.\n\n| | binary | case | wall | CPU | peak RSS | "+
			"requests |\n|---|--:|---|--:|--:|--:|--:|",
		r.Contenders[0].Name,
	)
	for _, c := range r.Contenders[1:] {
		for _, which := range []string{cold, warm} {
			ratio := func(name string) string {
				s := c.Ratios[which+" "+name]
				return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Low, s.High)
			}
			p(
				"| %s | %.2f | %s | %s | %s | %s | %.2f |", c.label(), c.Ratios["binary"].Median, which, ratio("wall"), ratio("cpu"), ratio("rss"),
				c.Ratios[which+" requests"].Median,
			)
		}
	}
	if len(r.Contenders[0].Crowds) > 0 {
		p("\nMany at once, at most %d at a time, nothing in place: ms until the last has exited with 0.\n\n| | %s |\n|---|%s", together,
			strings.Trim(strings.ReplaceAll(fmt.Sprint(crowdSizes), " ", " | "), "[]"), strings.Repeat("--:|", len(crowdSizes)))
		for i, c := range r.Contenders {
			cells := make([]string, len(crowdSizes))
			for k, n := range crowdSizes {
				took, ok := c.Crowds[n]
				if !ok {
					cells[k] = "-"
					continue
				}
				cells[k] = fmt.Sprintf("%.0f", took.Median)
				if i > 0 {
					cells[k] += fmt.Sprintf(" (%.2f)", took.Median/r.Contenders[0].Crowds[n].Median)
				}
			}
			p("| %s | %s |", c.label(), strings.Join(cells, " | "))
		}
	}
	if len(r.Renders) > 0 {
		p(
			"\nOne render of a chart by Helm's SDK.\n\n| chart | objects | load ms | render ms | render CPU ms | CPU, ratio " +
				"|\n|---|--:|--:|--:|--:|--:|",
		)
		for _, c := range r.Renders {
			p("| %s | %d | %s | %s | %s | %.1f |", c.Name, c.Objects, c.LoadMS, c.MS, c.CPUMS, c.CPUMS.Median/r.Renders[0].CPUMS.Median)
		}
	}
}
