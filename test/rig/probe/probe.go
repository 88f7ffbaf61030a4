package probe

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"time"
)

// maxInFlight bounds the objects that are on their way at once. A release that hangs for as long as a webhook may take
// (30 s at most) must not pile up more than the API server takes of one user.
const maxInFlight = 64

// Report is what a probe has seen.
type Report struct {
	// Sent is the number of objects sent.
	Sent int
	// Failed is the number of those that were not answered as they must.
	Failed int
	// Closed is the number of those of Failed whose connection was closed by the server while the API server wrote to it: a
	// server that ends closes what is idle, and the API server does not repeat a request that may have been read.
	Closed int
	// LongestGap is the longest time from a success to the next one of the same target with a failure in between.
	LongestGap time.Duration
	// Errors holds the first error of each text.
	Errors []string
	// Duration is how long the probe ran.
	Duration time.Duration
}

// Probe sends the objects of its targets in turn until it is stopped.
type Probe struct {
	stop   context.CancelFunc
	ended  chan struct{}
	report Report

	mu    sync.Mutex
	seen  map[string]bool
	lanes []lane
}

// lane is what is known of one target.
type lane struct {
	lastGood time.Time
	failed   bool
}

// Start begins to send objects at rate a second, valid and invalid ones of each target in turn.
func Start(ctx context.Context, targets []Target, rate int) *Probe {
	ctx, stop := context.WithCancel(ctx)
	p := &Probe{stop: stop, ended: make(chan struct{}), seen: map[string]bool{}, lanes: make([]lane, len(targets))}
	begun := time.Now()
	for i := range p.lanes {
		p.lanes[i].lastGood = begun
	}
	go p.run(ctx, targets, rate, begun)
	return p
}

// Stop ends the probe, waits for what is on its way and returns the report.
func (p *Probe) Stop() Report {
	p.stop()
	<-p.ended
	return p.report
}

func (p *Probe) run(ctx context.Context, targets []Target, rate int, begun time.Time) {
	defer close(p.ended)
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	slots := make(chan struct{}, maxInFlight)
	var group sync.WaitGroup
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			group.Wait()
			p.finish(begun)
			return
		case <-ticker.C:
		}
		slots <- struct{}{}
		i, valid := n/2%len(targets), n%2 == 0
		group.Go(func() {
			defer func() { <-slots }()
			// Without the probe's context: what has been sent is waited for and counts.
			p.record(i, targets[i].Send(context.WithoutCancel(ctx), valid))
		})
	}
}

// finish counts what is still broken, now that nothing is on its way any more.
func (p *Probe) finish(begun time.Time) {
	now := time.Now()
	p.report.Duration = now.Sub(begun)
	for _, l := range p.lanes {
		if l.failed {
			p.report.LongestGap = max(p.report.LongestGap, now.Sub(l.lastGood))
		}
	}
}

func (p *Probe) record(i int, err error) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Sent++
	l := &p.lanes[i]
	if err == nil {
		if l.failed {
			p.report.LongestGap = max(p.report.LongestGap, now.Sub(l.lastGood))
		}
		l.lastGood, l.failed = now, false
		return
	}
	p.report.Failed++
	var call *CallError
	if errors.As(err, &call) && Closed(err.Error()) {
		p.report.Closed++
	}
	l.failed = true
	if text := err.Error(); !p.seen[text] {
		p.seen[text] = true
		p.report.Errors = append(p.report.Errors, text)
	}
}

// closedText is how the API server's client words a connection that ended under a request. The API server gives a
// webhook's failure as text alone.
var closedText = regexp.MustCompile(
	`: (EOF|http: server closed idle connection|use of closed network connection|(read|write): (connection reset by peer|broken pipe))$`,
)

// Closed reports whether the text of a failed webhook call says that the server had closed the connection.
func Closed(text string) bool { return closedText.MatchString(text) }

// Broken is the number of failures that are not Closed: those that a certificate, a missing server or a wrong answer
// caused.
func (r Report) Broken() int { return r.Failed - r.Closed }

// ClosedLimit is how many requests may have met a connection that was being closed before something else is to blame:
// one server of the registry ends with a connection for each of its four entries, two of which have been seen to be met at once;
// besides that, one in a hundred requests is far more than was ever measured.
func (r Report) ClosedLimit() int { return 4 + r.Sent/100 }
