package kube

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock is a transport that compares the clock here with that of the server, by the header Date of its answers.
type clock struct {
	next http.RoundTripper
	now  func() time.Time

	difference atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.difference.Store(int64(c.now().Sub(theirs)))
	}
	return resp, nil
}

// ahead is by how much the clock here is ahead, in whole seconds. A difference that the header and the way of the answer
// explain is none.
func (c *clock) ahead() time.Duration {
	d := time.Duration(c.difference.Load()).Round(time.Second)
	if d.Abs() <= maxSkew {
		return 0
	}
	return d
}
