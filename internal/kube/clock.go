package kube

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxSkew is the difference of two clocks that is not worth a word. It is well above the second that the header Date is
// rounded to and the time that an answer may take.
const maxSkew = time.Minute

// clock is a transport that compares the clock here with that of the server, by the header Date of its answers.
type clock struct {
	next http.RoundTripper
	now  func() time.Time
	// log is where a difference is told of, once; nil where whoever asks for it tells. A certificate that is made by a clock that is
	// ahead would be refused as not yet valid by all others, were it not for gen.Backdate.
	log *slog.Logger

	warned     sync.Once
	difference atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// A server that tells no time, or not in the form of RFC 9110, section 5.6.7, cannot be compared with.
	if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.compare(theirs)
	}
	return resp, nil
}

// compare notes the difference to the server's clock, and tells of it once.
func (c *clock) compare(theirs time.Time) {
	ours := c.now()
	ahead := ours.Sub(theirs).Round(time.Second)
	if ahead.Abs() <= maxSkew {
		ahead = 0
	}
	c.difference.Store(int64(ahead))
	if ahead != 0 && c.log != nil {
		c.warned.Do(func() {
			c.log.Warn("clock differs from the API server's: certificates are dated by the clock here", "ahead", ahead.String(),
				"here", ours.UTC().Format(time.RFC3339), "server", theirs.UTC().Format(time.RFC3339))
		})
	}
}

// WrappedRoundTripper implements net.RoundTripperWrapper of apimachinery, by which a request that took too long is canceled.
func (c *clock) WrappedRoundTripper() http.RoundTripper { return c.next }

// ahead is by how much the clock here is ahead, in whole seconds. A difference that the header and the way of the answer
// explain is none.
func (c *clock) ahead() time.Duration { return time.Duration(c.difference.Load()) }
