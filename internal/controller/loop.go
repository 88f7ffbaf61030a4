package controller

import (
	"context"
	"sync"
	"time"
)

// loop is woken by changes.
type loop struct {
	woken chan struct{}
	// repeated is how often in a row the same was done anew; who runs the loop counts it.
	repeated int

	mu   sync.Mutex
	last error
}

func newLoop() *loop { return &loop{woken: make(chan struct{}, 1), last: errNotRead} }

// wake makes the loop look again. It does not wait for that.
func (l *loop) wake() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// wait waits until the loop is woken, or for the time given, and a moment so that a burst of changes is seen together.
func (l *loop) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	case <-l.woken:
	}
	select {
	case <-ctx.Done():
	case <-time.After(min(pause<<max(0, l.repeated-patientHeals), maxPause)):
	}
}

func (l *loop) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
}

func (l *loop) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
