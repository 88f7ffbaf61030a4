package kube

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type dated struct {
	date string
	err  error
}

func (d dated) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {d.date}}}, d.err
}

func TestClockTellsByHowMuchItIsAhead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, tc := range map[string]struct {
		server dated
		ahead  time.Duration
		want   string
	}{
		"when it is ahead": {
			dated{date: at(-10 * time.Minute)}, 10 * time.Minute, "ahead=10m0s here=2026-11-24T08:30:00Z server=2026-11-24T08:20:00Z",
		},
		"when it is behind": {
			dated{date: at(10 * time.Minute)}, -10 * time.Minute, "ahead=-10m0s here=2026-11-24T08:30:00Z server=2026-11-24T08:40:00Z",
		},
		"but not of a minute":                   {server: dated{date: at(-time.Minute)}},
		"but not of a minute behind":            {server: dated{date: at(time.Minute)}},
		"but not when the server tells no time": {},
		"but not of an answer that is none":     {server: dated{date: at(time.Hour), err: errors.New("broken")}},
		"but not of a date nobody can compare":  {server: dated{date: "yesterday"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			for _, told := range []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), nil} {
				c := &clock{next: tc.server, now: func() time.Time { return now }, log: told}
				for range 3 {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api/", nil)
					require.NoError(t, err)
					_, err = c.RoundTrip(req)
					assert.Equal(t, tc.server.err, err)
				}
				assert.Equal(t, tc.ahead, c.ahead())
			}
			if tc.want == "" {
				assert.Empty(t, log.String())
				return
			}
			assert.Equal(t, 1, strings.Count(log.String(), "\n"), "once")
			assert.Contains(
				t, log.String(), `level=WARN msg="clock differs from the API server's: certificates are dated by the clock here" `+tc.want,
			)
		})
	}
}
