package main

import (
	"context"
	"fmt"
	"image/color"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	ratiosFile = "hack/bench/baseline.json"
	// peersFile has the ratios of other programs, and may have none.
	peersFile = "hack/bench/peer-ratios.json"
)

// ratio is a program's figure in multiples of the floor's.
type ratio struct{ Median float64 }

// ratios are a program's, by case and measure.
type ratios map[string]ratio

// The two cases of hack/bench.
const (
	cold = "cold"
	warm = "warm"
)

// bounds are what the ratios should not exceed, from the top of the chart to its bottom.
var bounds = []struct {
	measure, label string
	ratio          float64
}{
	{"wall", "wall time", 1.3},
	{"cpu", "CPU time", 1.75},
	{"rss", "peak RSS", 2},
	{"binary", "binary", 3},
}

// The colours of bars and of bounds, which do on any background.
var (
	coldBars  = color.RGBA{0x33, 0x8f, 0xe0, 0xff}
	warmBars  = color.RGBA{0xe0, 0x8a, 0x2b, 0xff}
	boundMark = color.RGBA{0xd1, 0x24, 0x2f, 0xff}
)

const (
	chartWidth  = 7 * vg.Inch
	chartHeight = 3 * vg.Inch
	margins     = 8 // points, for readers whose font is wider
	barWidth    = 12
	// Where peers are, there are more rows: the height of one, of what else is there, and the width of a bar.
	peersRow      = 18
	peersRest     = vg.Inch
	peersBarWidth = 7
	// longest is where a bar is cut, with its ratio written into it: beside a longer one the others would say nothing.
	longest = 6
)

// row is a place for a bar per case. A heading has no measure, and only the program's own bars have a bound.
type row struct {
	label, measure string
	ratios         ratios
	bound          float64
}

// chart is what is drawn: the program's ratios, and those of peers if there are any.
type chart struct {
	own   ratios
	peers []peer
}

// peer is another program that was measured, by the name that the tables have.
type peer struct {
	Name   string
	Ratios ratios
}

// drawRatios draws the committed ratios.
func drawRatios(_ context.Context, root string) ([]byte, error) {
	var c chart
	if err := read(filepath.Join(root, ratiosFile), &c.own); err != nil {
		return nil, err
	}
	if err := read(filepath.Join(root, peersFile), &c.peers); err != nil {
		return nil, err
	}
	return c.draw()
}

// rows are those of the chart from its top to its bottom.
func (c chart) rows() []row {
	var rows []row
	for _, bound := range bounds {
		if len(c.peers) == 0 {
			rows = append(rows, row{bound.label, bound.measure, c.own, bound.ratio})
			continue
		}
		rows = append(rows, row{label: bound.label}, row{"kthena-certgen", bound.measure, c.own, bound.ratio})
		for _, p := range c.peers {
			rows = append(rows, row{label: p.Name, measure: bound.measure, ratios: p.Ratios})
		}
	}
	return rows
}

// draw draws for each bounded measure a bar per case and program, and the bound.
func (c chart) draw() ([]byte, error) {
	rows := c.rows()
	height, width, subject := chartHeight, vg.Length(barWidth), "kthena-certgen in"
	if len(c.peers) > 0 {
		height, width, subject = peersRest+peersRow*vg.Length(len(rows)), peersBarWidth, "in"
	}
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text = subject + " multiples of the floor; less is better"
	p.Legend.Top, p.Legend.Padding = true, 4
	drawIn(ink, p)
	end := 0.0
	for i, which := range []string{cold, warm} {
		bars, err := newBars(rows, which, width)
		if err != nil {
			return nil, err
		}
		bars.Color = []color.Color{coldBars, warmBars}[i]
		bars.Offset = width * (0.5 - vg.Length(i))
		cut, err := cutBars(bars)
		if err != nil {
			return nil, err
		}
		p.Add(bars, cut)
		p.Legend.Add(which, bars)
		end = max(end, slices.Max(bars.Values))
	}
	var names []string
	for _, row := range slices.Backward(rows) {
		names = append(names, row.label)
	}
	p.NominalY(names...)
	named := false
	for i, row := range rows {
		if row.bound == 0 {
			continue
		}
		y := place(rows, i)
		mark, err := plotter.NewLine(plotter.XYs{{X: row.bound, Y: y - 0.4}, {X: row.bound, Y: y + 0.4}})
		if err != nil {
			return nil, err
		}
		mark.Color, mark.Width = boundMark, 2
		p.Add(mark)
		if !named {
			p.Legend.Add("bound", mark)
		}
		named = true
		end = max(end, row.bound)
	}
	p.X.Min, p.X.Max = 0, end+0.1
	if len(c.peers) > 0 {
		p.Y.Max += 1.5 // for the legend: the first bars may be as long as any
	}
	canvas := vgsvg.New(chartWidth, height)
	p.Draw(draw.Crop(draw.New(canvas), margins, -margins, margins, -margins))
	return svg(canvas, styleSheet("", ""))
}

// place is where the bars of a row are; the axis begins at the bottom.
func place(rows []row, i int) float64 { return float64(len(rows) - 1 - i) }

// newBars are those of a case. The ratio of the binary is the same in both cases.
func newBars(rows []row, which string, width vg.Length) (*plotter.BarChart, error) {
	values := make(plotter.Values, len(rows))
	for i, row := range rows {
		if row.measure == "" {
			continue
		}
		name := which + " " + row.measure
		if row.measure == "binary" {
			name = row.measure
		}
		got, ok := row.ratios[name]
		if !ok && row.bound == 0 {
			return nil, fmt.Errorf("%s has no ratio %s of %s: run make bench UPDATE=1 with PEERS", peersFile, name, row.label)
		}
		if !ok {
			return nil, fmt.Errorf("%s has no ratio %s: run make bench UPDATE=1", ratiosFile, name)
		}
		values[int(place(rows, i))] = got.Median
	}
	bars, err := plotter.NewBarChart(values, width)
	if err != nil {
		return nil, err
	}
	bars.Horizontal, bars.LineStyle.Width = true, 0
	return bars, nil
}

// cutBars cuts the bars that are too long, and returns the ratios to be written into them.
func cutBars(bars *plotter.BarChart) (*plotter.Labels, error) {
	var labels plotter.XYLabels
	for i, value := range bars.Values {
		if value <= longest {
			continue
		}
		bars.Values[i] = longest
		labels.XYs = append(labels.XYs, plotter.XY{X: longest, Y: float64(i)})
		labels.Labels = append(labels.Labels, fmt.Sprintf("%.1f →", value))
	}
	cut, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	cut.Offset = vg.Point{X: -2, Y: bars.Offset + 1}
	for i := range cut.TextStyle {
		s := &cut.TextStyle[i]
		s.Color, s.Font.Variant, s.Font.Size = color.White, "Sans", bars.Width
		s.XAlign, s.YAlign = draw.XRight, draw.YCenter
	}
	return cut, nil
}

// drawIn gives the parts of p that are neither bars nor marks one colour and a font without serifs.
func drawIn(c color.Color, p *plot.Plot) {
	for _, s := range []*draw.TextStyle{&p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		s.Color, s.Font.Variant = c, "Sans"
	}
	for _, s := range []*draw.LineStyle{&p.X.LineStyle, &p.X.Tick.LineStyle, &p.Y.LineStyle, &p.Y.Tick.LineStyle} {
		s.Color = c
	}
}
