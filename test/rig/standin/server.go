package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// fileTimeout is how long Kthena's binaries wait for their TLS files.
	fileTimeout = 30 * time.Second
	filePoll    = 100 * time.Millisecond
	// shutdownTimeout is how long Kthena's webhook servers let requests in flight finish.
	shutdownTimeout = 5 * time.Second
)

// server is one port and what is served there: HTTPS when it has a certificate.
type server struct {
	name     string
	port     int
	certFile string
	keyFile  string
	handler  http.Handler
	// drain is how long, after it is told to end, the server goes on answering and tells each client to close its connection.
	// Kthena's do not: 0.
	drain time.Duration
}

// places says where servers listen.
type places struct {
	host string // an address of this machine, or empty for all
	file string // where to write the addresses of free ports to, or empty for the servers' own ports
}

// serve serves all of servers until ctx ends. Then their ports are closed, at once or when they have drained, and requests in
// flight are finished.
func serve(ctx context.Context, servers []server, places places, log *slog.Logger) error {
	tlsConfigs := make([]*tls.Config, len(servers))
	for i, s := range servers {
		var err error
		if tlsConfigs[i], err = s.loadTLS(ctx, fileTimeout); err != nil {
			return err
		}
	}
	listeners, err := places.listen(servers)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range servers {
		group.Go(func() error { return s.serve(ctx, listeners[i], tlsConfigs[i], log) })
	}
	// Without any server there is still a program that runs until it is told to end.
	<-ctx.Done()
	return group.Wait()
}

// serve serves one port until ctx ends.
func (s server) serve(ctx context.Context, listener net.Listener, config *tls.Config, log *slog.Logger) error {
	log = log.With("server", s.name, "address", listener.Addr().String(), "tls", config != nil)
	var ending atomic.Bool
	srv := &http.Server{Handler: closing(s.handler, &ending), TLSConfig: config, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() {
		if config == nil {
			ended <- srv.Serve(listener)
			return
		}
		ended <- srv.ServeTLS(listener, "", "")
	}()
	log.Info("serving")
	select {
	case err := <-ended:
		return fmt.Errorf("serving %s: %w", s.name, err)
	case <-ctx.Done():
		ending.Store(true)
		time.Sleep(s.drain)
	}
	timeout, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(timeout)
	log.Info("stopped")
	if err != nil {
		return fmt.Errorf("finishing requests of %s: %w", s.name, err)
	}
	return nil
}

// closing makes every answer given while ending the last one on its connection. That is the only way in HTTP/1.1 to close a
// connection without a client sending a request into it meanwhile, RFC 9112 section 9.6.
func closing(handler http.Handler, ending *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ending.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}

// loadTLS waits for the server's files and loads them. Without any it returns nil.
func (s server) loadTLS(ctx context.Context, timeout time.Duration) (*tls.Config, error) {
	if s.certFile == "" {
		return nil, nil
	}
	deadline := time.Now().Add(timeout)
	for _, path := range []string{s.certFile, s.keyFile} {
		if err := waitForFile(ctx, path, deadline); err != nil {
			return nil, fmt.Errorf("waiting %s for the %s server's TLS files: %w", timeout, s.name, err)
		}
	}
	certificate, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
	if err != nil {
		return nil, fmt.Errorf("loading the %s server's TLS files: %w", s.name, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}

func waitForFile(ctx context.Context, path string, deadline time.Time) error {
	for {
		_, err := os.Stat(path)
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(filePoll):
		}
	}
}

// listen opens the ports of all servers and writes down where they are if that has been asked for.
func (p places) listen(servers []server) ([]net.Listener, error) {
	var listeners []net.Listener
	addresses := map[string]string{}
	for _, s := range servers {
		port := s.port
		if p.file != "" {
			port = 0
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(p.host, strconv.Itoa(port)))
		if err != nil {
			return nil, fmt.Errorf("opening the %s server's port: %w", s.name, err)
		}
		listeners = append(listeners, listener)
		addresses[strconv.Itoa(s.port)] = listener.Addr().String()
	}
	if p.file == "" {
		return listeners, nil
	}
	if err := writeAtomically(p.file, addresses); err != nil {
		return nil, fmt.Errorf("writing the ports: %w", err)
	}
	return listeners, nil
}

// writeAtomically writes value as JSON so that nobody reads a part of it.
func writeAtomically(path string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), path)
}
