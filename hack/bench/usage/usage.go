// Package usage is what a run of a program took, as the launcher tells the benchmark.
package usage

import "time"

// Usage is what one run of a program took.
type Usage struct {
	// Wall is from just before the start to the exit.
	Wall time.Duration `json:"wall"`
	// CPU is the time in user and kernel mode.
	CPU time.Duration `json:"cpu"`
	// RSS is the peak resident set size in bytes.
	RSS int64 `json:"rss"`
	// Exit is the exit code, -1 when the program was killed.
	Exit int `json:"exit"`
}

// Then is what u took together with a run after it: the times of both, and the peak of the larger.
func (u Usage) Then(next Usage) Usage {
	return Usage{Wall: u.Wall + next.Wall, CPU: u.CPU + next.CPU, RSS: max(u.RSS, next.RSS), Exit: next.Exit}
}
