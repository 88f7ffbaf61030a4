package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/color"
	"os/exec"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	dashboardFile = "charts/kthena/files/dashboard.json"
	recordingFile = "hack/picture/recording.json"
)

// dashboard is what is read of Grafana's.
type dashboard struct {
	Title  string
	Panels []panel
}

// panel is one of its rectangles. It is one of 24 columns, and of rows.
type panel struct {
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
	}
	Targets []struct{ RefID, LegendFormat string }
	// interval is the time between two scrapes, in seconds.
	interval float64
	// series are what its queries gave.
	series []series
}

// series is one line of a panel.
type series struct {
	name   string
	labels map[string]string
	points [][2]float64 // time and value
}

// answer is what hack/promtool/panels prints of a query.
type answer struct {
	Panel  string
	RefID  string
	Series []struct {
		Labels map[string]string
		Points [][2]float64
	}
}

// drawDashboard draws what the dashboard shows of the recording.
func drawDashboard(ctx context.Context, root string) ([]byte, error) {
	var recording struct{ Seconds float64 }
	if err := read(filepath.Join(root, recordingFile), &recording); err != nil {
		return nil, err
	}
	var d dashboard
	if err := read(filepath.Join(root, dashboardFile), &d); err != nil {
		return nil, err
	}
	answers, err := ask(ctx, root, filepath.Join(root, dashboardFile))
	if err != nil {
		return nil, err
	}
	for i := range d.Panels {
		d.Panels[i].interval = recording.Seconds
		d.Panels[i].take(answers)
	}
	return d.draw()
}

// ask lets Prometheus' engine answer the queries; each gives something.
func ask(ctx context.Context, root, file string) ([]answer, error) {
	// It is built without the clouds that Prometheus finds targets in.
	cmd := exec.CommandContext(ctx, "go", "run", "-C", filepath.Join(root, "hack", "promtool"), "-tags=remove_all_sd", "./panels",
		file, filepath.Join(root, recordingFile))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking the queries of %s: %w: %s", file, err, strings.TrimSpace(stderr.String()))
	}
	var answers []answer
	if err := json.Unmarshal(out, &answers); err != nil {
		return nil, fmt.Errorf("reading the answers to %s: %w", file, err)
	}
	return answers, nil
}

// take finds the panel's own among the answers.
func (p *panel) take(answers []answer) {
	for _, t := range p.Targets {
		for _, a := range answers {
			if a.Panel != p.Title || a.RefID != t.RefID {
				continue
			}
			for _, s := range a.Series {
				var pairs []string
				for name, value := range s.Labels {
					pairs = append(pairs, "{{"+name+"}}", value)
				}
				p.series = append(p.series, series{strings.NewReplacer(pairs...).Replace(t.LegendFormat), s.Labels, s.Points})
			}
		}
	}
}

// Sizes in points.
const (
	columnWidth, rowHeight = 40, 30
	gap                    = 3
)

// faint is the colour of frames and of grids.
var faint = color.NRGBA{0x8b, 0x94, 0x9e, 0x66}

// draw draws every panel where the dashboard has it.
func (d *dashboard) draw() ([]byte, error) {
	var width, height int
	for _, p := range d.Panels {
		width, height = max(width, p.GridPos.X+p.GridPos.W), max(height, p.GridPos.Y+p.GridPos.H)
	}
	canvas := vgsvg.New(vg.Length(width*columnWidth), vg.Length(height*rowHeight))
	whole := draw.New(canvas)
	for i := range d.Panels {
		p := &d.Panels[i]
		left, top := vg.Length(p.GridPos.X*columnWidth), vg.Length((height-p.GridPos.Y)*rowHeight)
		if err := p.draw(draw.Canvas{Canvas: whole.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: left + gap, Y: top - vg.Length(p.GridPos.H*rowHeight) + gap},
			Max: vg.Point{X: left + vg.Length(p.GridPos.W*columnWidth) - gap, Y: top - gap},
		}}); err != nil {
			return nil, fmt.Errorf("drawing panel %q: %w", p.Title, err)
		}
	}
	title := "<title>What the dashboard " + d.Title + " shows</title>\n"
	return svg(canvas, title+styleSheet(".page{fill:#fff}", ".page{fill:#0d1117}")+"\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>")
}
