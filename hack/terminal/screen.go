package main

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"
	"strings"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// Screens that stand for less time than a frame are not shown.
const frame = 50 * time.Millisecond

// colours are the classes of a picture by the colours of a terminal. A picture has no others.
var colours = map[color.Color]string{nil: "", ansi.Red: "r", ansi.Green: "g", ansi.Yellow: "y"}

// span is text of one colour that has no gap, so that columns stay where they are whatever the reader's font.
type span struct {
	column       int
	text, colour string
}

// line is what a row of the screen shows for a time. The end of what stays is zero.
type line struct {
	row      int
	from, to time.Duration
	spans    []span
}

// play returns what a terminal shows while it gets the pieces, and the text that it shows in the end.
func play(pieces []piece, size pty.Winsize) (lines []line, text string, err error) {
	screen := vt.NewEmulator(int(size.Cols), int(size.Rows))
	shown := make([]line, size.Rows)
	for i, p := range pieces {
		if _, err := screen.Write(p.data); err != nil {
			return nil, "", fmt.Errorf("playing what was recorded: %w", err)
		}
		if i+1 < len(pieces) && pieces[i+1].at-p.at < frame {
			continue
		}
		for row := range shown {
			spans, err := spansOf(screen, row)
			if err != nil {
				return nil, "", err
			}
			if slices.Equal(spans, shown[row].spans) {
				continue
			}
			if before := shown[row]; len(before.spans) > 0 {
				before.to = p.at
				lines = append(lines, before)
			}
			shown[row] = line{row: row, from: p.at, spans: spans}
		}
	}
	for _, l := range shown {
		if len(l.spans) > 0 {
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.row, b.row)) })
	return lines, textOf(screen), nil
}

// spansOf are those of a row.
func spansOf(screen *vt.Emulator, row int) ([]span, error) {
	var spans []span
	end := -2 // the column behind the last span
	for column := range screen.Width() {
		cell := screen.CellAt(column, row)
		if cell == nil || cell.Content == "" || cell.Content == " " {
			continue
		}
		colour, known := colours[cell.Style.Fg]
		if plain := (uv.Style{Fg: cell.Style.Fg}); !known || !cell.Style.Equal(&plain) || cell.Width != 1 {
			return nil, fmt.Errorf("drawing %q in column %d of line %d: a picture knows red, green and yellow, and no other style",
				cell.Content, column+1, row+1)
		}
		if last := len(spans) - 1; last >= 0 && spans[last].colour == colour && column-end <= 1 {
			spans[last].text += strings.Repeat(" ", column-end) + cell.Content
		} else {
			spans = append(spans, span{column, cell.Content, colour})
		}
		end = column + 1
	}
	return spans, nil
}

// textOf is what the screen shows, without the blanks at its right and its end.
func textOf(screen *vt.Emulator) string {
	var text []string
	for row := range strings.SplitSeq(screen.String(), "\n") {
		text = append(text, strings.TrimRight(row, " "))
	}
	return strings.TrimRight(strings.Join(text, "\n"), "\n")
}
