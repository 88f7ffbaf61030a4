package main

import (
	"fmt"
	"image/color"
	"maps"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// palette is what series are drawn in, by their order. All do on light and on dark pages.
var palette = []color.RGBA{
	{0x33, 0x8f, 0xe0, 0xff}, {0xe0, 0x8a, 0x2b, 0xff}, {0x2d, 0xa4, 0x4e, 0xff}, {0xa3, 0x71, 0xf7, 0xff}, {0xd1, 0x24, 0x2f, 0xff},
	{0x1b, 0xa3, 0xa3, 0xff}, {0xbf, 0x87, 0x00, 0xff}, {0xdb, 0x61, 0xa2, 0xff}, {0x6e, 0x77, 0x81, 0xff}, {0x8d, 0x6e, 0x63, 0xff},
	{0x5b, 0x6a, 0xd0, 0xff}, {0x7a, 0xa1, 0x16, 0xff},
}

// named are the colours of thresholds.
var named = map[string]color.RGBA{"green": {0x2d, 0xa4, 0x4e, 0xff}, "orange": {0xe0, 0x8a, 0x2b, 0xff}, "red": {0xd1, 0x24, 0x2f, 0xff}}

// style is that of a text.
func style(size vg.Length, c color.Color) draw.TextStyle {
	return draw.TextStyle{Color: c, Font: plotfont.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Handler: plot.DefaultTextHandler}
}

// fitted is the style with a size at which the text is no wider than it may be.
func fitted(s draw.TextStyle, text string, width vg.Length) draw.TextStyle {
	if is := s.Width(text); is > width {
		s.Font.Size *= width / is
	}
	return s
}

// draw draws the panel's frame and title, and below it what it shows.
func (p *panel) draw(c draw.Canvas) error {
	c.StrokeLines(draw.LineStyle{Color: faint, Width: 1}, []vg.Point{
		c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}, c.Min,
	})
	title := fitted(style(12, ink), p.Title, c.Max.X-c.Min.X-16)
	title.YAlign = draw.YTop
	c.FillText(title, vg.Point{X: c.Min.X + 8, Y: c.Max.Y - 7}, p.Title)
	inside := draw.Crop(c, 8, -8, 8, -26)
	switch p.Type {
	case "stat":
		return p.drawNumbers(inside)
	case "timeseries":
		return p.drawLines(inside)
	case "table":
		p.drawTable(inside)
		return nil
	}
	return fmt.Errorf("there is no picture of the type %q", p.Type)
}

// drawNumbers draws the last value of each series, side by side.
func (p *panel) drawNumbers(c draw.Canvas) error {
	width := (c.Max.X - c.Min.X) / vg.Length(len(p.series))
	for i, s := range p.series {
		last := s.points[len(s.points)-1][1]
		shade, err := p.shade(last)
		if err != nil {
			return err
		}
		at := vg.Point{X: c.Min.X + (vg.Length(i)+0.5)*width, Y: (c.Min.Y + c.Max.Y) / 2}
		text := withUnit(last, p.FieldConfig.Defaults.Unit)
		number := fitted(style(24, shade), text, 0.85*width)
		number.XAlign, number.YAlign = draw.XCenter, draw.YCenter
		c.FillText(number, vg.Point{X: at.X, Y: at.Y + 8}, text)
		name := style(11, ink)
		name.XAlign, name.YAlign = draw.XCenter, draw.YTop
		c.FillText(name, vg.Point{X: at.X, Y: at.Y - 14}, s.name)
	}
	return nil
}

// shade is the colour of a value: that of the last threshold that it reaches, ink without any.
func (p *panel) shade(value float64) (color.Color, error) {
	var shade color.Color = ink
	for _, step := range p.FieldConfig.Defaults.Thresholds.Steps {
		if step.Value != nil && value < *step.Value {
			break
		}
		c, known := named[step.Color]
		if !known {
			return nil, fmt.Errorf("the colour %q is unknown", step.Color)
		}
		shade = c
	}
	return shade, nil
}

// drawLines draws each series over time, and below all of them what their colours mean.
func (p *panel) drawLines(c draw.Canvas) error {
	const lineHeight = 12
	text := style(9, ink)
	var widest vg.Length
	for _, s := range p.series {
		widest = max(widest, text.Width(s.name))
	}
	cell := widest + 28
	columns := max(1, int((c.Max.X-c.Min.X)/cell))
	rows := (len(p.series) + columns - 1) / columns
	over := plot.New()
	over.BackgroundColor = nil
	for i, s := range p.series {
		shade := palette[i%len(palette)]
		for _, part := range unbroken(s.points, p.interval) {
			line, err := plotter.NewLine(part)
			if err != nil {
				return err
			}
			line.Color, line.Width = shade, 1.5
			over.Add(line)
		}
		at := vg.Point{X: c.Min.X + vg.Length(i%columns)*cell, Y: c.Min.Y + (vg.Length(rows-i/columns)-0.5)*lineHeight}
		c.StrokeLine2(draw.LineStyle{Color: shade, Width: 2}, at.X, at.Y, at.X+12, at.Y)
		name := text
		name.YAlign = draw.YCenter
		c.FillText(name, vg.Point{X: at.X + 16, Y: at.Y}, s.name)
	}
	p.dress(over)
	over.Draw(draw.Crop(c, 0, 0, vg.Length(rows)*lineHeight+6, 0))
	return nil
}

// dress gives a plot its axes.
func (p *panel) dress(over *plot.Plot) {
	over.Y.Min, over.Y.Max = 0, max(1.1*over.Y.Max, 1)
	over.X.Tick.Marker = plot.TickerFunc(func(from, to float64) []plot.Tick {
		var ticks []plot.Tick
		for t := time.Unix(int64(from), 0).UTC().Truncate(time.Minute).Add(time.Minute); float64(t.Unix()) <= to; t = t.Add(time.Minute) {
			ticks = append(ticks, plot.Tick{Value: float64(t.Unix()), Label: t.Format("15:04")})
		}
		return ticks
	})
	over.Y.Tick.Marker = plot.TickerFunc(func(from, to float64) []plot.Tick {
		var ticks []plot.Tick
		for _, t := range (plot.DefaultTicks{}).Ticks(from, to) {
			if t.Label != "" {
				ticks = append(ticks, plot.Tick{Value: t.Value, Label: withUnit(t.Value, p.FieldConfig.Defaults.Unit)})
			}
		}
		return ticks
	})
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	grid.Vertical.Width, grid.Horizontal.Width = 0.5, 0.5
	over.Add(grid)
	for _, axis := range []*plot.Axis{&over.X, &over.Y} {
		axis.Color, axis.Tick.Color = ink, ink
		axis.Width, axis.Tick.Width = 0.5, 0.5
		axis.Tick.Label = style(9, ink)
	}
	over.X.Tick.Label.XAlign, over.X.Tick.Label.YAlign = draw.XCenter, draw.YTop
	over.Y.Tick.Label.XAlign, over.Y.Tick.Label.YAlign = draw.XRight, draw.YCenter
}

// unbroken are the parts of a series without a scrape that lacks it.
func unbroken(points [][2]float64, interval float64) []plotter.XYs {
	var parts []plotter.XYs
	for i, p := range points {
		if i == 0 || p[0]-points[i-1][0] > interval {
			parts = append(parts, nil)
		}
		last := &parts[len(parts)-1]
		*last = append(*last, plotter.XY{X: p[0], Y: p[1]})
	}
	return parts
}

// drawTable draws a line for each series, with its labels.
func (p *panel) drawTable(c draw.Canvas) {
	all := map[string]bool{}
	for _, s := range p.series {
		for label := range s.labels {
			all[label] = label != "__name__"
		}
	}
	maps.DeleteFunc(all, func(_ string, shown bool) bool { return !shown })
	head, cell := style(10, palette[0]), style(10, ink)
	head.YAlign, cell.YAlign = draw.YTop, draw.YTop
	at := vg.Point{X: c.Min.X, Y: c.Max.Y - 4}
	for _, label := range append(slices.Sorted(maps.Keys(all)), "Value") {
		c.FillText(head, at, label)
		width := head.Width(label)
		for i, s := range p.series {
			text := s.labels[label]
			if label == "Value" {
				text = withUnit(s.points[len(s.points)-1][1], p.FieldConfig.Defaults.Unit)
			}
			c.FillText(cell, vg.Point{X: at.X, Y: at.Y - vg.Length(i+1)*18}, text)
			width = max(width, cell.Width(text))
		}
		at.X += width + 22
	}
}

// withUnit writes a value as Grafana does.
func withUnit(value float64, unit string) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	switch unit {
	case "percentunit":
		return number(100*value) + "%"
	case "s":
		text := number(value) + " s"
		for _, larger := range []struct {
			seconds float64
			name    string
		}{{60, "mins"}, {3600, "hours"}, {86400, "days"}, {604800, "weeks"}, {31556900, "years"}} {
			if value >= larger.seconds {
				text = number(value/larger.seconds) + " " + larger.name
			}
		}
		return text
	}
	return number(value)
}
