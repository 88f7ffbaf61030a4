package kube_test

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

	"github.com/volcano-sh/kthena-certgen/internal/kube"
)

type dated struct {
	date string
	err  error
}

func (d dated) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {d.date}}}, d.err
}

func TestSkewWarnsOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, tc := range map[string]struct {
		server dated
		want   string
	}{
		"when the clock here is ahead":              {dated{date: at(-10 * time.Minute)}, "ahead=10m0s here=2026-11-24T08:30:00Z server=2026-11-24T08:20:00Z"},
		"when the clock here is behind":             {dated{date: at(10 * time.Minute)}, "ahead=-10m0s here=2026-11-24T08:30:00Z server=2026-11-24T08:40:00Z"},
		"but not of a minute":                       {dated{date: at(time.Minute)}, ""},
		"but not when the server tells no time":     {dated{}, ""},
		"but not of an answer that is none":         {dated{date: at(time.Hour), err: errors.New("broken")}, ""},
		"but not of a date that nobody can compare": {dated{date: "yesterday"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := &kube.Skew{Next: tc.server, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&log, nil))}
			for range 3 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api/", nil)
				require.NoError(t, err)
				_, err = s.RoundTrip(req)
				assert.Equal(t, tc.server.err, err)
			}
			if tc.want == "" {
				assert.Empty(t, log.String())
				return
			}
			assert.Equal(t, 1, strings.Count(log.String(), "\n"))
			assert.Contains(t, log.String(), `level=WARN msg="clock differs from the API server's: certificates are dated by the clock here" `+tc.want)
		})
	}
}
