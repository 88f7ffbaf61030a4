// Command terminal runs a command on a terminal of its own and draws what it shows there, as an SVG that moves as the recording did:
//
//	terminal -o docs/demo.svg -title "What make demo prints" -columns 128 -- make demo
//
// Pauses are shortened. The picture is written only when the command ends as it should.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/creack/pty"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var usage usageError
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "terminal: error:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "terminal: error:", err)
		os.Exit(1)
	}
}

// usageError is a mistake of the caller's.
type usageError struct{ error }

func run(ctx context.Context, args []string, echo, progress io.Writer) error {
	flags := flag.NewFlagSet("terminal", flag.ContinueOnError)
	flags.SetOutput(progress)
	out := flags.String("o", "", "file of the picture")
	title := flags.String("title", "", "what it shows, for those who do not see it")
	columns := flags.Uint("columns", 128, "width of the terminal")
	rows := flags.Uint("rows", 60, "height of the terminal; the picture is as high as what is written")
	pause := flags.Duration("pause", 1500*time.Millisecond, "what longer pauses are cut to")
	code := flags.Int("exit", 0, "exit code that the command ends with")
	still := flags.Bool("still", false, "draw the last screen alone")
	if err := flags.Parse(args); err != nil {
		return usageError{err}
	}
	switch {
	case *out == "":
		return usageError{errors.New("-o is missing: name the file of the picture")}
	case *title == "":
		return usageError{errors.New("-title is missing: say what the picture shows")}
	case *columns == 0 || *columns > 1000 || *rows == 0 || *rows > 1000:
		return usageError{fmt.Errorf("a terminal of %d columns and %d rows is not allowed: use 1 to 1000", *columns, *rows)}
	case flags.NArg() == 0:
		return usageError{errors.New("there is no command: name it behind --")}
	}
	size := pty.Winsize{Cols: uint16(*columns), Rows: uint16(*rows)}
	pieces, err := record(ctx, size, flags.Args(), *code, echo)
	if err != nil {
		return err
	}
	longest := *pause
	if *still {
		longest = 0
	}
	lines, text, err := play(shorten(pieces, longest), size)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*out, picture(*title, text, lines), 0o644); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return nil
}
