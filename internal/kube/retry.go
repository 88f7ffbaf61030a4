package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// attemptTimeout is what New gives Retry. It is longer than a busy API server holds a request back before it answers
	// 429, and short enough for several tries within the limit of a pass.
	attemptTimeout = 10 * time.Second
	// forbiddenGrace is for how long a refusal by RBAC is doubted: the API server's authorizer learns of a new role
	// binding a moment after it was created, and Helm creates it just before the pod.
	forbiddenGrace = 3 * time.Second
	// maxRetryAfter is the longest pause that a server gets which asks for one. An overloaded API server asks for up to 32 seconds, and
	// whoever asks for an hour is not one.
	maxRetryAfter = 32 * time.Second
)

// backoff is the pause after each failed attempt, unless the server names one.
var backoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 7, Cap: 5 * time.Second}

// Retry is a transport that repeats a request until its context ends while there is no usable answer: no connection, no
// answer in time, or status 429, 500, 502, 503, 504, and for a moment 401 and 403. The pause is the server's Retry-After
// where it sends one in seconds and above none, but maxRetryAfter at most.
//
// It has to be the outermost transport: those that put the credentials in are asked again for each attempt.
//
// Repeating a write whose answer was lost is safe for the callers of this package only because their writes are guarded:
// a second create meets AlreadyExists, a second update, patch or delete a conflict, and both make them read again.
type Retry struct {
	Next http.RoundTripper
	// AttemptTimeout is how long one answer may take.
	AttemptTimeout time.Duration
	Log            *slog.Logger
}

// onceKey is the context's key that Once sets.
type onceKey struct{}

// Once returns a context whose requests Retry makes once, whatever becomes of them.
func Once(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }

// RoundTrip implements http.RoundTripper.
func (r *Retry) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	pauses := backoff
	req = req.WithContext(req.Context()) // a copy, since each attempt needs a body of its own
	for {
		resp, err := r.attempt(req)
		once := req.Context().Value(onceKey{}) != nil
		if err == nil && (once || !retriable(resp.StatusCode, time.Since(start))) {
			return resp, nil
		}
		if once || final(err) {
			return nil, err
		}
		cause := err
		pause := pauses.Step()
		if err == nil {
			cause = fmt.Errorf("the API server answered %s", resp.Status)
			if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
				pause = time.Duration(min(s, int(maxRetryAfter/time.Second))) * time.Second
			}
		}
		if err := again(req); err != nil {
			return nil, err
		}
		if req.Context().Err() == nil {
			r.Log.Info("trying again", "method", req.Method, "path", req.URL.Path, "cause", cause.Error(), "pause", pause.String())
		}
		select {
		case <-req.Context().Done():
			return nil, fmt.Errorf("%w; last: %w", context.Cause(req.Context()), cause)
		case <-time.After(pause):
		}
	}
}

// final reports whether err does not change by waiting: it is another server or the wrong CA, or what the kubeconfig names to sign in
// by has failed, which a person may have to do something about.
func final(err error) bool {
	var unverified *tls.CertificateVerificationError
	// The error of client-go's exec plugins has no type.
	return errors.As(err, &unverified) || err != nil && strings.Contains(err.Error(), "getting credentials: ")
}

func retriable(status int, elapsed time.Duration) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusUnauthorized, http.StatusForbidden:
		return elapsed < forbiddenGrace
	}
	return false
}

// again rewinds the request's body.
func again(req *http.Request) error {
	if req.GetBody == nil {
		if req.Body == nil || req.Body == http.NoBody {
			return nil
		}
		return errors.New("repeating a request: its body cannot be read again")
	}
	body, err := req.GetBody()
	if err != nil {
		return fmt.Errorf("repeating a request: %w", err)
	}
	req.Body = body
	return nil
}

// attempt sends the request once and reads the whole answer, so that the time limit covers it all. The objects that
// come back are small.
func (r *Retry) attempt(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), r.AttemptTimeout, fmt.Errorf("no answer within %s", r.AttemptTimeout))
	defer cancel()
	resp, err := r.Next.RoundTrip(req.WithContext(ctx))
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		err = errors.Join(err, resp.Body.Close())
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err != nil && ctx.Err() != nil {
		cause := context.Cause(ctx)
		if by := (*proxyError)(nil); errors.As(err, &by) {
			cause = &proxyError{by.by, cause}
		}
		return nil, cause
	}
	return resp, err
}
