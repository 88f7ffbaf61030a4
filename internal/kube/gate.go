package kube

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// Gate is a transport that holds all other requests back until the first one has a connection, or has failed. Over HTTP/2
// they then share that connection; sent at the same time, each would open its own, with a TLS handshake of its own.
type Gate struct {
	Next http.RoundTripper

	entered atomic.Bool
	open    sync.Once
	opened  chan struct{}
}

// NewGate returns a closed gate before next.
func NewGate(next http.RoundTripper) *Gate {
	return &Gate{Next: next, opened: make(chan struct{})}
}

// WrappedRoundTripper implements net.RoundTripperWrapper, as that of clock does.
func (g *Gate) WrappedRoundTripper() http.RoundTripper { return g.Next }

// RoundTrip implements http.RoundTripper.
func (g *Gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if g.entered.CompareAndSwap(false, true) {
		open := func() { g.open.Do(func() { close(g.opened) }) }
		defer open()
		trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { open() }}
		return g.Next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	}
	select {
	case <-g.opened:
		return g.Next.RoundTrip(req)
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
}
