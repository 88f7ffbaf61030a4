package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Sizes in pixels. What a font makes wider or narrower is fitted to its cells.
const (
	cellWidth, cellHeight = 8.4, 20
	margin, baseline      = 14, 15
)

// hold is how long the last screen stands before the picture begins anew.
const hold = 10 * time.Second

// style has the colours for light pages and for dark ones. What is not there at the end shows only where pictures may move.
const style = `rect{fill:#f6f8fa;stroke:#d1d9e0}
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;fill:#1f2328;white-space:pre}
.r{fill:#cf222e}.g{fill:#1a7f37}.y{fill:#9a6700}
.gone{opacity:0}
@media(prefers-color-scheme:dark){rect{fill:#161b22;stroke:#3d444d}text{fill:#e6edf3}.r{fill:#ff7b72}.g{fill:#3fb950}.y{fill:#d29922}}
`

// picture is a recording as an SVG that needs nothing else: no script, no font, no file. Without animations it is the last screen.
func picture(title, text string, lines []line) []byte {
	var rows, columns int
	var end time.Duration
	for _, l := range lines {
		last := l.spans[len(l.spans)-1]
		rows, columns, end = max(rows, l.row+1), max(columns, last.column+utf8.RuneCountInString(last.text)), max(end, l.from)
	}
	var css, body strings.Builder
	moment := func(at time.Duration) string { return fmt.Sprintf("%.3g%%", 100*at.Seconds()/(end+hold).Seconds()) }
	for i := 0; i < len(lines); {
		// What appears together, and goes together, moves together.
		from, to := lines[i].from, lines[i].to
		class := ""
		if to > 0 {
			class = ` class="gone"`
		}
		if from > 0 || to > 0 {
			fmt.Fprintf(&css, "#t%d{animation-name:t%[1]d}@keyframes t%[1]d{0%%{opacity:0}%s{opacity:1}", i, moment(from))
			if to > 0 {
				fmt.Fprintf(&css, "%s{opacity:0}", moment(to))
			}
			css.WriteString("}\n")
		}
		fmt.Fprintf(&body, "<g id=\"t%d\"%s>\n", i, class)
		for ; i < len(lines) && lines[i].from == from && lines[i].to == to; i++ {
			draw(&body, lines[i])
		}
		body.WriteString("</g>\n")
	}
	width, height := 2*margin+int(math.Ceil(float64(columns)*cellWidth)), 2*margin+rows*cellHeight
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d"`, width, height)
	svg.WriteString(` role="img" aria-labelledby="title" aria-describedby="text">` + "\n")
	fmt.Fprintf(&svg, "<title id=\"title\">%s</title>\n<desc id=\"text\">%s\n</desc>\n", escaped(title), escaped(text))
	fmt.Fprintf(&svg, "<style>%s", style)
	if css.Len() > 0 {
		fmt.Fprintf(
			&svg, "@media(prefers-reduced-motion:no-preference){g{animation:%.1fs step-end infinite}\n%s}\n", (end + hold).Seconds(), &css,
		)
	}
	fmt.Fprintf(&svg, "</style>\n<rect x=\".5\" y=\".5\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n%s</svg>\n", width-1, height-1, &body)
	return []byte(svg.String())
}

func draw(body *strings.Builder, l line) {
	y := margin + l.row*cellHeight + baseline
	for _, r := range l.spans {
		x, width := margin+float64(r.column)*cellWidth, float64(utf8.RuneCountInString(r.text))*cellWidth
		class := ""
		if r.colour != "" {
			class = fmt.Sprintf(" class=%q", r.colour)
		}
		fmt.Fprintf(body, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
			x, y, width, class, escaped(r.text))
	}
}

// escaped is text as XML.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // into memory
	return strings.ReplaceAll(b.String(), "&#xA;", "\n")
}
