package kube_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
)

// script answers requests one after the other, the last answer again and again.
type script struct {
	answers []answer
	bodies  []string
	times   []time.Duration
	start   time.Time
}

type answer struct {
	status     int
	retryAfter string
	err        error
	hang       bool
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.start.IsZero() {
		s.start = time.Now()
	}
	s.times = append(s.times, time.Since(s.start).Round(time.Second))
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	s.bodies = append(s.bodies, string(body))
	a := s.answers[min(len(s.bodies), len(s.answers))-1]
	if a.hang {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{
		StatusCode: a.status, Status: fmt.Sprint(a.status, " ", http.StatusText(a.status)),
		Header: http.Header{"Retry-After": {a.retryAfter}}, Body: io.NopCloser(strings.NewReader("answer")),
	}, nil
}

func send(t *testing.T, s *script, timeout time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), timeout, fmt.Errorf("timed out: %w", context.DeadlineExceeded))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api/secrets", strings.NewReader("body"))
	require.NoError(t, err)
	r := &kube.Retry{Next: s, AttemptTimeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
	return r.RoundTrip(req)
}

func TestRetryRidesOutTrouble(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]answer{
		"no connection":                  {err: errors.New("connection refused")},
		"a server that does not answer":  {hang: true},
		"too many requests":              {status: 429},
		"an internal error":              {status: 500},
		"a proxy without a server":       {status: 502},
		"a server that starts":           {status: 503},
		"a server that waits for etcd":   {status: 504},
		"a role binding that is too new": {status: 403},
		"a token that is too new":        {status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []answer{trouble, trouble, {status: 201}}}
				resp, err := send(t, s, time.Minute)
				require.NoError(t, err)
				assert.Equal(t, 201, resp.StatusCode)
				assert.Equal(t, []string{"body", "body", "body"}, s.bodies, "the body is sent each time")
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, "answer", string(body))
			})
		})
	}
}

func TestRetryLeavesAnswersToTheCaller(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 400, 404, 409, 422} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := &script{answers: []answer{{status: status}}}
			resp, err := send(t, s, time.Minute)
			require.NoError(t, err)
			assert.Equal(t, status, resp.StatusCode)
			assert.Len(t, s.bodies, 1)
		})
	}
}

func TestRetryWaitsAsLongAsTheServerAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 429, retryAfter: "7"}, {status: 503, retryAfter: "2"}, {status: 200}}}
		_, err := send(t, s, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{0, 7 * time.Second, 9 * time.Second}, s.times)
	})
}

func TestRetryNeitherSpinsNorSleepsForEverForAServer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		retryAfter string
		most       int // attempts in ten minutes
		least      int
	}{
		"that asks for an hour":                  {"3600", 20, 18},
		"that asks for more than a number holds": {"9999999999999999999", 200, 60},
		"that asks for more than a clock holds":  {"9999999999", 20, 18},
		"that asks for no pause":                 {"0", 200, 60},
		"that asks for the past":                 {"-1", 200, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []answer{{status: 503, retryAfter: tc.retryAfter}}}
				_, err := send(t, s, 10*time.Minute)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.LessOrEqual(t, len(s.bodies), tc.most)
				assert.GreaterOrEqual(t, len(s.bodies), tc.least)
			})
		})
	}
}

func TestRetryBelievesARefusalAfterAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 403}}}
		start := time.Now()
		resp, err := send(t, s, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, 403, resp.StatusCode)
		assert.InDelta(t, 3, time.Since(start).Seconds(), 3)
	})
}

func TestRetryEndsWithTheContextAndSaysWhatItMet(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer answer
		want   string
	}{
		"no connection": {answer{err: errors.New("connection refused")}, "timed out: context deadline exceeded; last: connection refused"},
		"a server that asks": {
			answer{status: 429, retryAfter: "600"}, "timed out: context deadline exceeded; last: the API server answered 429 Too Many Requests",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := send(t, &script{answers: []answer{tc.answer}}, time.Minute)
				require.EqualError(t, err, tc.want)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, time.Minute, time.Since(start))
			})
		})
	}
}

func TestRetryRepeatsNoRequestWhoseBodyIsGone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		getBody func() (io.ReadCloser, error)
		want    string
	}{
		"since it can be read once": {nil, "repeating a request: its body cannot be read again"},
		"since it cannot be opened": {func() (io.ReadCloser, error) { return nil, errors.New("gone") }, "repeating a request: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{answers: []answer{{status: 503}}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api/secrets", strings.NewReader("body"))
			require.NoError(t, err)
			req.GetBody = tc.getBody
			_, err = (&kube.Retry{Next: s, AttemptTimeout: time.Minute, Log: slog.New(slog.DiscardHandler)}).RoundTrip(req)
			require.EqualError(t, err, tc.want)
			assert.Len(t, s.bodies, 1)
		})
	}
}

func TestRetryRefusesAServerThatIsNotTheOneMeant(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	server.Config.ErrorLog = nil
	_, err = (&kube.Retry{Next: &http.Transport{}, AttemptTimeout: time.Minute, Log: slog.New(slog.DiscardHandler)}).RoundTrip(req)
	var unverified *tls.CertificateVerificationError
	require.ErrorAs(t, err, &unverified, "at once: waiting does not change it")
}

func TestOnceMakesOneAttempt(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]answer{
		"without a connection":        {err: errors.New("connection refused")},
		"at a server that is busy":    {status: 429, retryAfter: "1"},
		"at a server that starts":     {status: 503},
		"without a right":             {status: 403},
		"at a server that is healthy": {status: 201},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{answers: []answer{trouble}}
			req, err := http.NewRequestWithContext(kube.Once(t.Context()), http.MethodPost, "https://api/events", strings.NewReader("body"))
			require.NoError(t, err)
			r := &kube.Retry{Next: s, AttemptTimeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
			resp, err := r.RoundTrip(req)
			assert.Equal(t, trouble.err, err)
			if err == nil {
				assert.Equal(t, trouble.status, resp.StatusCode)
			}
			assert.Len(t, s.bodies, 1)
		})
	}
}
