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

const ratiosFile = "hack/bench/baseline.json"

// ratio is the program's figure in multiples of the floor's.
type ratio struct{ Median float64 }

// ratios are the committed ones, by case and measure.
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
)

// drawRatios draws the committed ratios.
func drawRatios(_ context.Context, root string) ([]byte, error) {
	var r ratios
	if err := read(filepath.Join(root, ratiosFile), &r); err != nil {
		return nil, err
	}
	return r.draw()
}

// draw draws for each bounded measure a bar per case, and the bound.
func (r ratios) draw() ([]byte, error) {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text = "kthena-certgen in multiples of the floor; less is better"
	p.X.Min, p.X.Max = 0, 3.1
	p.Legend.Top, p.Legend.Padding = true, 4
	drawIn(ink, p)
	for i, which := range []string{cold, warm} {
		bars, err := r.bars(which)
		if err != nil {
			return nil, err
		}
		bars.Color = []color.Color{coldBars, warmBars}[i]
		bars.Offset = barWidth * (0.5 - vg.Length(i))
		p.Add(bars)
		p.Legend.Add(which, bars)
	}
	var names []string
	for _, bound := range slices.Backward(bounds) {
		names = append(names, bound.label)
	}
	p.NominalY(names...)
	for i, bound := range bounds {
		y := place(i)
		mark, err := plotter.NewLine(plotter.XYs{{X: bound.ratio, Y: y - 0.4}, {X: bound.ratio, Y: y + 0.4}})
		if err != nil {
			return nil, err
		}
		mark.Color, mark.Width = boundMark, 2
		p.Add(mark)
		if i == 0 {
			p.Legend.Add("bound", mark)
		}
	}
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.Crop(draw.New(canvas), margins, -margins, margins, -margins))
	return svg(canvas, styleSheet("", ""))
}

// place is where the bars of a measure are; the axis begins at the bottom.
func place(i int) float64 { return float64(len(bounds) - 1 - i) }

// bars are those of a case. The ratio of the binary is the same in both cases.
func (r ratios) bars(which string) (*plotter.BarChart, error) {
	values := make(plotter.Values, len(bounds))
	for i, bound := range bounds {
		name := which + " " + bound.measure
		if bound.measure == "binary" {
			name = bound.measure
		}
		got, ok := r[name]
		if !ok {
			return nil, fmt.Errorf("%s has no ratio %s: run make bench UPDATE=1", ratiosFile, name)
		}
		values[int(place(i))] = got.Median
	}
	bars, err := plotter.NewBarChart(values, barWidth)
	if err != nil {
		return nil, err
	}
	bars.Horizontal, bars.LineStyle.Width = true, 0
	return bars, nil
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
