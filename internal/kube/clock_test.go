package kube

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type datedAnswer string

func (d datedAnswer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {string(d)}}}, nil
}

func TestClockTellsByHowMuchItIsAhead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, tc := range map[string]struct {
		date string
		want time.Duration
	}{
		"when it is ahead":                   {at(-10 * time.Minute), 10 * time.Minute},
		"when it is behind":                  {at(10 * time.Minute), -10 * time.Minute},
		"but not of a minute":                {at(-time.Minute), 0},
		"but not when the server tells none": {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{next: datedAnswer(tc.date), now: func() time.Time { return now }}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api/", nil)
			require.NoError(t, err)
			_, err = c.RoundTrip(req)
			require.NoError(t, err)
			assert.Equal(t, tc.want, c.ahead())
		})
	}
}
