package kube_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
)

func get(ctx context.Context, t *testing.T, rt http.RoundTripper, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestRequestsAtTheSameTimeShareOneConnection(t *testing.T) {
	t.Parallel()
	const requests = 3
	var connections atomic.Int32
	together := make(chan struct{})
	var arrived atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		// Nobody is answered before all are there: the others do not wait for the first one's answer.
		if arrived.Add(1) == requests {
			close(together)
		}
		<-together
	}))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	gate := kube.NewGate(server.Client().Transport)
	var group sync.WaitGroup
	for range requests {
		group.Go(func() { assert.NoError(t, get(t.Context(), t, gate, server.URL)) })
	}
	group.Wait()
	assert.EqualValues(t, 1, connections.Load())
}

// first is a transport whose first request does what it says.
type first struct {
	do   func(*http.Request) error
	done atomic.Bool
}

func (f *first) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if f.done.CompareAndSwap(false, true) {
		err = f.do(req)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, err
}

func TestAFailedFirstRequestHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("connection refused")
		gate := kube.NewGate(&first{do: func(*http.Request) error {
			time.Sleep(time.Second)
			return broken
		}})
		go func() { assert.ErrorIs(t, get(t.Context(), t, gate, "https://api/"), broken) }()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, get(t.Context(), t, gate, "https://api/"))
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestAHeldRequestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := kube.NewGate(&first{do: func(req *http.Request) error {
			<-req.Context().Done()
			return req.Context().Err()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { assert.ErrorIs(t, get(ctx, t, gate, "https://api/"), context.Canceled) }()
		synctest.Wait()
		late := errors.New("late")
		impatient, done := context.WithTimeoutCause(t.Context(), time.Second, late)
		defer done()
		require.ErrorIs(t, get(impatient, t, gate, "https://api/"), late)
	})
}
