package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// printer shows the steps of the demo with the time that each took. On a terminal a step's line is rewritten while it
// goes on; elsewhere each step is one line when it is done.
type printer struct {
	out      *os.File
	terminal bool
	begun    time.Time

	mu    sync.Mutex
	title string
	since time.Time
}

func newPrinter(out *os.File) *printer {
	return &printer{out: out, terminal: term.IsTerminal(int(out.Fd())), begun: time.Now()}
}

// step begins a step.
func (p *printer) step(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.title, p.since = fmt.Sprintf(format, args...), time.Now()
	if p.terminal {
		_, _ = fmt.Fprintf(p.out, "        %s ...", p.title)
	}
}

// progress says how far the step is. It shows on a terminal only.
func (p *printer) progress(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && p.title != "" {
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K        %s: %s", p.title, fmt.Sprintf(format, args...))
	}
}

// done ends the step with what came of it, and returns how long it took.
func (p *printer) done(format string, args ...any) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.title
	if format != "" {
		text += ": " + fmt.Sprintf(format, args...)
	}
	if p.terminal {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
	took := time.Since(p.since)
	_, _ = fmt.Fprintf(p.out, "%6.1fs %s\n", took.Seconds(), text)
	p.title = ""
	return took
}
