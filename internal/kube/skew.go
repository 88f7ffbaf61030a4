package kube

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// maxSkew is the difference of two clocks that is not worth a word. It is well above the second that the header Date is
// rounded to and the time that an answer may take.
const maxSkew = time.Minute

// Skew is a transport that warns once when the clock here and that of the server differ, by the header Date of its
// answers. A certificate that is made by a clock that is ahead would be refused as not yet valid by all others, were it
// not for gen.Backdate.
type Skew struct {
	Next http.RoundTripper
	// Now is the clock here.
	Now func() time.Time
	Log *slog.Logger

	warned sync.Once
}

// RoundTrip implements http.RoundTripper.
func (s *Skew) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.Next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// A server that tells no time, or not in the form of RFC 9110, section 5.6.7, cannot be compared with.
	if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		ours := s.Now()
		if ahead := ours.Sub(theirs).Round(time.Second); ahead.Abs() > maxSkew {
			s.warned.Do(func() {
				s.Log.Warn("clock differs from the API server's: certificates are dated by the clock here", "ahead", ahead.String(), "here", ours.UTC().Format(time.RFC3339), "server", theirs.UTC().Format(time.RFC3339))
			})
		}
	}
	return resp, nil
}
