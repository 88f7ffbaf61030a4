package controller

import (
	"io"
	"net/http"
)

// Metrics serves /metrics.
func (c *Controller) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", c.metrics)
	return mux
}

// Probes serves /healthz, which says that the process runs, and /readyz, which says whether it keeps everything in order.
func (c *Controller) Probes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := c.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	return mux
}
