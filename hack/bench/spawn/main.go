// Command spawn runs the program that its arguments name and prints what the run took, as one line of JSON. The program's
// standard error is kept, its standard output is dropped.
//
// It is there because Linux counts the peak RSS of the process that started a program, up to the exec, as the program's
// own: started by the benchmark itself, no program would seem smaller than the benchmark.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/volcano-sh/kthena-certgen/hack/bench/usage"
)

func main() {
	u, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(u)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "spawn: error:", err)
		os.Exit(1)
	}
}

func run(argv []string) (usage.Usage, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return usage.Usage{}, err
	}
	start := time.Now()
	p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Env: []string{}, Files: []*os.File{null, null, os.Stderr}})
	if err != nil {
		return usage.Usage{}, err
	}
	state, err := p.Wait()
	wall := time.Since(start)
	if err != nil {
		return usage.Usage{}, err
	}
	// Linux counts in KiB.
	rss := state.SysUsage().(*syscall.Rusage).Maxrss << 10
	return usage.Usage{Wall: wall, CPU: state.UserTime() + state.SystemTime(), RSS: rss, Exit: state.ExitCode()}, nil
}
