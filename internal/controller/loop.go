package controller

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// What changes in a burst is looked at once.
	pause = 100 * time.Millisecond
	// Who heals what is broken again and again pauses longer each time, up to this: less than half of what a heal may take.
	maxPause = 800 * time.Millisecond
	// patientHeals is how many heals in a row are made without a longer pause.
	patientHeals = 5
	// minRetry and maxRetry bound the pause after an error, which doubles.
	minRetry, maxRetry = 500 * time.Millisecond, 30 * time.Second
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

// loop runs do whenever it is woken, and when do has asked for it, but not before all that it needs has been read: unread says
// what has not been. What is read must wake the loop.
func (c *Controller) loop(ctx context.Context, r *component, l *loop, what string, unread func() error,
	do func(context.Context, *component) (time.Duration, error),
) {
	retry := minRetry
	failure := ""
	for ctx.Err() == nil {
		if err := unread(); err != nil {
			// Nothing is known yet; what is read wakes the loop.
			l.set(err)
			l.wait(ctx, maxWait)
			continue
		}
		again, err := do(ctx, r)
		if ctx.Err() != nil {
			return
		}
		l.set(err)
		switch {
		case err == nil:
			if failure != "" {
				c.Log.Info("reconciling again", "component", r.Deployment, "what", what)
			}
			retry, failure = minRetry, ""
		default:
			c.metrics.errors.add(1, r.Deployment)
			if err.Error() != failure {
				failure = err.Error()
				c.Log.Error("reconciling", "component", r.Deployment, "what", what, "error", err)
			}
			again = retry + rand.N(retry)
			retry = min(2*retry, maxRetry)
		}
		l.wait(ctx, again)
	}
}
