package main

import (
	"bytes"
	"errors"
	"image/color"
	"strings"

	"gonum.org/v1/plot/vg/vgsvg"
)

// ink is the colour of what is text or an axis. Where the reader's page is dark, styleSheet makes it light.
var ink = color.RGBA{0x1f, 0x23, 0x28, 0xff}

// styleSheet has the rules that all pictures have, and a picture's own: for any page, and for a dark one. The canvas knows no classes,
// so what is drawn in ink is found by the style that the canvas gives it.
func styleSheet(rules, whenDark string) string {
	return "<style>text{font-family:Helvetica,Arial,sans-serif!important}" + rules + "@media(prefers-color-scheme:dark){" + whenDark +
		`[style*="fill:#1F2328"]{fill:#E6EDF3!important}[style*="stroke:#1F2328"]{stroke:#E6EDF3!important}}</style>`
}

// svg is what was drawn on the canvas, below a head.
func svg(canvas *vgsvg.Canvas, head string) ([]byte, error) {
	var drawn bytes.Buffer
	if _, err := canvas.WriteTo(&drawn); err != nil {
		return nil, err
	}
	before, after, ok := strings.Cut(drawn.String(), "<g ")
	if !ok {
		return nil, errors.New("nothing was drawn")
	}
	return []byte(before + head + "\n<g " + after), nil
}
