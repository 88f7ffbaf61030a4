package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/creack/pty"
)

// piece is what a command wrote at once.
type piece struct {
	at   time.Duration
	data []byte
}

// record runs a command on a terminal of its own and returns what it writes there; echo gets it too. The command has to end with code.
func record(ctx context.Context, size pty.Winsize, command []string, code int, echo io.Writer) ([]piece, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	begun := time.Now()
	terminal, err := pty.StartWithSize(cmd, &size)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	defer terminal.Close()
	pieces := []piece{{data: []byte("$ " + strings.Join(command, " ") + "\r\n")}}
	buffer := make([]byte, 32<<10)
	for {
		n, err := terminal.Read(buffer)
		if n > 0 {
			pieces = append(pieces, piece{time.Since(begun), append([]byte(nil), buffer[:n]...)})
			_, _ = echo.Write(buffer[:n])
		}
		if err != nil {
			break // the command has closed its end, which Linux calls an input/output error
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("running %s: %w", command[0], err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		return nil, fmt.Errorf("running %s: it ended with %d, not %d, so there is no picture of it", strings.Join(command, " "), got, code)
	}
	return pieces, nil
}

// shorten cuts every pause to the longest that is left.
func shorten(pieces []piece, longest time.Duration) []piece {
	short := make([]piece, len(pieces))
	var before, cut time.Duration
	for i, p := range pieces {
		cut += max(0, p.at-before-longest)
		before = p.at
		short[i] = piece{p.at - cut, p.data}
	}
	return short
}
