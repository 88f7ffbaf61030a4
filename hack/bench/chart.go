package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
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

// The colours of the chart. Bars do on any background; ink is black or nearly white, as the reader's page is.
var (
	ink       = color.RGBA{0x1f, 0x23, 0x28, 0xff}
	coldBars  = color.RGBA{0x33, 0x8f, 0xe0, 0xff}
	warmBars  = color.RGBA{0xe0, 0x8a, 0x2b, 0xff}
	boundMark = color.RGBA{0xd1, 0x24, 0x2f, 0xff}
)

// darkStyle makes ink light where the page is dark. The canvas knows no classes, so what is drawn in ink is found by the style
// that the canvas gives it.
const darkStyle = `<style>text{font-family:Helvetica,Arial,sans-serif!important}` +
	`@media(prefers-color-scheme:dark){[style*="fill:#1F2328"]{fill:#E6EDF3!important}` +
	`[style*="stroke:#1F2328"]{stroke:#E6EDF3!important}}</style>`

const (
	chartWidth  = 7 * vg.Inch
	chartHeight = 3 * vg.Inch
	margins     = 8 // points, for readers whose font is wider
	barWidth    = 12
)

// drawChart draws b's ratios as an SVG: for each bounded measure a bar per case, and the bound.
func drawChart(b baseline) ([]byte, error) {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text = subject + " in multiples of the floor; less is better"
	p.X.Min, p.X.Max = 0, 3.1
	p.Legend.Top, p.Legend.Padding = true, 4
	drawIn(ink, p)
	for i, which := range []string{cold, warm} {
		bars, err := barsOf(b, which)
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
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, fmt.Errorf("drawing the chart: %w", err)
	}
	head, body, ok := strings.Cut(svg.String(), "<g ")
	if !ok {
		return nil, errors.New("drawing the chart: nothing was drawn")
	}
	return []byte(head + darkStyle + "\n<g " + body), nil
}

// place is where the bars of a measure are; the axis begins at the bottom.
func place(i int) float64 { return float64(len(bounds) - 1 - i) }

// barsOf are the bars of a case. A measure that b lacks has none; that of the binary is the same in both cases.
func barsOf(b baseline, which string) (*plotter.BarChart, error) {
	values := make(plotter.Values, len(bounds))
	for i, bound := range bounds {
		ratio, ok := b[which+" "+bound.measure]
		if !ok {
			ratio = b[bound.measure]
		}
		values[int(place(i))] = ratio.Median
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

func writeChart(path string, b baseline) error {
	svg, err := drawChart(b)
	if err != nil {
		return err
	}
	return os.WriteFile(path, svg, 0o644)
}
