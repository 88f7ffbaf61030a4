package controller

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Prometheus' own library would cost every start of an init container, which serves no metrics, a tenth of its CPU time for
// what it sets up before main, so the dozen families here are written by hand; the tests read them with Prometheus' parser.
// The format is that of "Exposition formats", text-based format, in Prometheus' documentation.

// contentType is that of the text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

const (
	typeGauge   = "gauge"
	typeCounter = "counter"
)

// family is the metrics of one name.
type family struct {
	name, kind, help string
	labels           []string

	mu     sync.Mutex
	values map[string]sample // by the labels' values
}

type sample struct {
	labels []string
	value  float64
}

func newFamily(kind, name, help string, labels ...string) *family {
	return &family{name: "kthena_certgen_" + name, kind: kind, help: help, labels: labels, values: map[string]sample{}}
}

// set makes the metric with these values of the labels have a value.
func (f *family) set(value float64, labels ...string) {
	f.change(labels, func(float64) float64 { return value })
}

// add adds to the metric with these values of the labels, which begins at 0.
func (f *family) add(value float64, labels ...string) {
	f.change(labels, func(before float64) float64 { return before + value })
}

func (f *family) change(labels []string, to func(float64) float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := strings.Join(labels, "\xff")
	f.values[key] = sample{labels, to(f.values[key].value)}
}

// write appends the family in the text format, its samples in a fixed order.
func (f *family) write(b *bytes.Buffer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
	samples := make([]sample, 0, len(f.values))
	for _, s := range f.values {
		samples = append(samples, s)
	}
	slices.SortFunc(samples, func(a, b sample) int { return slices.Compare(a.labels, b.labels) })
	for _, s := range samples {
		b.WriteString(f.name)
		for i, label := range f.labels {
			fmt.Fprintf(b, `%s%s="%s"`, cmp.Or(strings.Repeat(",", min(i, 1)), "{"), label, escape.Replace(s.labels[i]))
		}
		if len(f.labels) > 0 {
			b.WriteByte('}')
		}
		b.WriteString(" " + strconv.FormatFloat(s.value, 'g', -1, 64) + "\n")
	}
}

// escape writes the value of a label.
var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
