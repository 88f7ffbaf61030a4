package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var small = pty.Winsize{Cols: 40, Rows: 3}

func TestACommandIsRecordedOnATerminal(t *testing.T) {
	t.Parallel()
	var echo strings.Builder
	pieces, err := record(t.Context(), small, []string{"sh", "-c", `test -t 1 && stty size && exit 6`}, 6, &echo)
	require.NoError(t, err)
	_, text, err := play(pieces, pty.Winsize{Cols: 80, Rows: 3})
	require.NoError(t, err)
	assert.Equal(t, "$ sh -c test -t 1 && stty size && exit 6\n3 40", text)
	assert.Equal(t, "3 40\r\n", echo.String())
}

func TestThereIsNoPictureOfACommandThatEndsOtherwise(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "picture.svg")
	for _, c := range []struct {
		name  string
		args  []string
		wants string
	}{
		{"with another code", []string{"-o", out, "-title", "x", "--", "sh", "-c", "exit 3"}, "it ended with 3, not 0"},
		{"because there is none", []string{"-o", out, "-title", "x", "--", "./no-such-command"}, "starting ./no-such-command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := run(t.Context(), c.args, io.Discard, io.Discard)
			require.ErrorContains(t, err, c.wants)
			assert.NoFileExists(t, out)
		})
	}
}

func TestBadFlagsAreNamed(t *testing.T) {
	t.Parallel()
	for wants, args := range map[string][]string{
		"-o is missing":       {"-title", "x", "true"},
		"-title is missing":   {"-o", "x.svg", "true"},
		"there is no command": {"-o", "x.svg", "-title", "x"},
		"use 1 to 1000":       {"-o", "x.svg", "-title", "x", "-columns", "70000", "true"},
		"no-such-flag":        {"-no-such-flag"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		require.ErrorContains(t, err, wants)
		var usage usageError
		assert.ErrorAs(t, err, &usage, "exit 2")
	}
}

func TestPausesAreCutAndNothingElse(t *testing.T) {
	t.Parallel()
	pieces := []piece{{at: 0}, {at: time.Second}, {at: 21 * time.Second}, {at: 22 * time.Second}, {at: 25 * time.Second}}
	var at []time.Duration
	for _, p := range shorten(pieces, 2*time.Second) {
		at = append(at, p.at)
	}
	assert.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 4 * time.Second, 6 * time.Second}, at)
}

func TestWhatATerminalShows(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
	black := func(text string) []span { return []span{{0, text, ""}} }
	for _, c := range []struct {
		name   string
		pieces []piece
		lines  []line
		text   string
	}{
		{"a line stays", []piece{{at(1), []byte("one two")}}, []line{{0, at(1), 0, black("one two")}}, "one two"},
		{"a gap begins another span, so that columns stay",
			[]piece{{0, []byte("one  two")}}, []line{{0, 0, 0, []span{{0, "one", ""}, {5, "two", ""}}}}, "one  two"},
		{"a colour begins another span",
			[]piece{{0, []byte("\x1b[31mred\x1b[0m \x1b[32mgreen\x1b[0m: \x1b[33myellow\x1b[0m")}},
			[]line{{0, 0, 0, []span{{0, "red", "r"}, {4, "green", "g"}, {9, ":", ""}, {11, "yellow", "y"}}}}, "red green: yellow"},
		{"a line is rewritten", []piece{{0, []byte("waiting ...")}, {at(2), []byte("\r\x1b[Kdone")}},
			[]line{{0, 0, at(2), black("waiting ...")}, {0, at(2), 0, black("done")}}, "done"},
		{"what stands for less than a frame is left out", []piece{{0, []byte("waiting ...")}, {time.Millisecond, []byte("\r\x1b[Kdone")}},
			[]line{{0, time.Millisecond, 0, black("done")}}, "done"},
		{"a line is erased", []piece{{0, []byte("away")}, {at(1), []byte("\r\x1b[K")}}, []line{{0, 0, at(1), black("away")}}, ""},
		{"what does not fit moves up", []piece{{0, []byte("1\r\n2\r\n3")}, {at(1), []byte("\r\n4")}},
			[]line{{0, 0, at(1), black("1")}, {1, 0, at(1), black("2")}, {2, 0, at(1), black("3")},
				{0, at(1), 0, black("2")}, {1, at(1), 0, black("3")}, {2, at(1), 0, black("4")}}, "2\n3\n4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lines, text, err := play(c.pieces, small)
			require.NoError(t, err)
			assert.Equal(t, c.lines, lines)
			assert.Equal(t, c.text, text)
		})
	}
	for _, style := range []string{"\x1b[1m", "\x1b[35m", "\x1b[41m", "\x1b[4m", "\x1b[38;5;9m"} {
		_, _, err := play([]piece{{0, []byte(style + "x")}}, small)
		assert.ErrorContains(t, err, "no other style")
	}
}

func TestThePictureIsAnSVGThatNeedsNothingElse(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "picture.svg")
	draw := func(args ...string) string {
		const script = `printf 'a <b> & "c"'; sleep 0.1; printf '\r\033[K\033[31mred\033[0m'`
		args = append(append([]string{"-o", out, "-title", "A <title>"}, args...), "--", "sh", "-c", script)
		require.NoError(t, run(t.Context(), args, io.Discard, io.Discard))
		svg, err := os.ReadFile(out)
		require.NoError(t, err)
		return string(svg)
	}
	svg := draw()
	var parsed struct {
		Title string `xml:"title"`
		Desc  string `xml:"desc"`
		Lines []struct {
			Class string   `xml:"class,attr"`
			Text  []string `xml:"text"`
		} `xml:"g"`
	}
	require.NoError(t, xml.Unmarshal([]byte(svg), &parsed))
	assert.Equal(t, "A <title>", parsed.Title)
	assert.True(t, strings.HasSuffix(parsed.Desc, "\nred\n"), parsed.Desc)
	var there, gone []string
	for _, l := range parsed.Lines {
		if l.Class == "gone" {
			gone = append(gone, l.Text...)
		} else {
			there = append(there, l.Text...)
		}
	}
	assert.Equal(t, []string{`a <b> & "c"`}, gone)
	assert.Equal(t, "red", there[len(there)-1])
	for _, part := range []string{"prefers-color-scheme:dark", "prefers-reduced-motion:no-preference", "@keyframes"} {
		assert.Contains(t, svg, part)
	}
	still := draw("-still")
	assert.NotContains(t, still, "@keyframes")
	assert.NotContains(t, still, "gone\"")
	assert.Contains(t, still, ">red<")
}
