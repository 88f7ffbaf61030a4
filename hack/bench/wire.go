package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// wire is what one run sends and receives.
type wire struct {
	Requests    int   `json:"requests"`
	Connections int64 `json:"connections"`
	// Sent and Received are in bytes, TLS included.
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

// wires runs contender i once more per case, through a relay that counts, so that it does not slow down what is measured.
func (b *bench) wires(ctx context.Context, i int) (map[string]wire, error) {
	s := b.sites[i]
	if err := s.reset(ctx); err != nil {
		return nil, err
	}
	counts := map[string]wire{}
	for _, which := range []string{cold, warm} {
		r, err := newRelay(serverURL(b.cluster))
		if err != nil {
			return nil, err
		}
		kubeconfig, err := s.writeKubeconfig(b.dir, "https://"+r.listener.Addr().String())
		if err != nil {
			return nil, err
		}
		before, err := b.cluster.Requests(s.user())
		if err != nil {
			return nil, err
		}
		if _, err := b.once(ctx, i, kubeconfig); err != nil {
			return nil, err
		}
		if err := r.close(); err != nil {
			return nil, err
		}
		after, err := b.cluster.Requests(s.user())
		if err != nil {
			return nil, err
		}
		counts[which] = wire{len(after) - len(before), r.connections.Load(), r.sent.Load(), r.received.Load()}
	}
	return counts, nil
}

func serverURL(cluster *localcluster.Cluster) string {
	host := strings.TrimSuffix(cluster.Config.Host, "/")
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	return host
}

// relay passes connections on to a server and counts.
type relay struct {
	listener                    net.Listener
	server                      string
	group                       sync.WaitGroup
	connections, sent, received atomic.Int64
}

func newRelay(server string) (*relay, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the relay: %w", err)
	}
	r := &relay{listener: listener, server: u.Host}
	r.group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			r.connections.Add(1)
			r.group.Go(func() { r.pass(client) })
		}
	})
	return r, nil
}

func (r *relay) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", r.server)
	if err != nil {
		return // the client sees its connection closed, and fails
	}
	defer func() { _ = server.Close() }()
	r.group.Go(func() {
		n, _ := io.Copy(client, server)
		r.received.Add(n)
	})
	n, _ := io.Copy(server, client)
	r.sent.Add(n)
}

// close waits for the connections to end, which they do with the program that opened them.
func (r *relay) close() error {
	err := r.listener.Close()
	r.group.Wait()
	return err
}
