package controlplane

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// meter reads what `go build -v` reports and tells how far it has come: a line that is rewritten every second on a terminal,
// and otherwise a line every 15 seconds.
type meter struct {
	out      io.Writer
	title    string
	terminal bool
	begun    time.Time
	quit     chan struct{}
	done     sync.WaitGroup

	mu       sync.Mutex
	partial  string // an unfinished line of go's
	packages int
	errors   []string
}

// newMeter starts to tell out about what title names.
func newMeter(out io.Writer, title string) *meter {
	m := &meter{out: out, title: title, begun: time.Now(), quit: make(chan struct{})}
	every := 15 * time.Second
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		m.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if m.terminal {
		every = time.Second
	}
	fmt.Fprint(m.out, m.line())
	m.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-m.quit:
				return
			case <-tick.C:
				fmt.Fprint(m.out, m.line())
			}
		}
	})
	return m
}

// stop tells the end.
func (m *meter) stop() {
	close(m.quit)
	m.done.Wait()
	fmt.Fprint(m.out, m.line())
	if m.terminal {
		fmt.Fprintln(m.out)
	}
}

// line says how far the build is.
func (m *meter) line() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := fmt.Sprintf("%s: %s, %d packages compiled", m.title, time.Since(m.begun).Round(time.Second), m.packages)
	if m.terminal {
		return "\r" + text
	}
	return text + "\n"
}

// Write takes what go prints. With -v that is one line with the name of each package; everything else has blanks in it.
func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := strings.Split(m.partial+string(p), "\n")
	m.partial = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		switch {
		case line == "" || strings.HasPrefix(line, "go: downloading "):
		case strings.ContainsAny(line, " \t"):
			m.errors = append(m.errors, line)
		default:
			m.packages++
		}
	}
	return len(p), nil
}

// complaints returns the lines that were neither packages nor downloads, each on a line of its own.
func (m *meter) complaints() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, line := range m.errors {
		b.WriteString("\n" + line)
	}
	return b.String()
}
