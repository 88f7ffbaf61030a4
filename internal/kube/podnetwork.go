package kube

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// PodNetwork connects to pods and Services directly, from a pod.
type PodNetwork struct {
	dialer net.Dialer
}

// DialEndpoint implements verify.Dialer.
func (n *PodNetwork) DialEndpoint(ctx context.Context, _ string, e verify.Endpoint) (net.Conn, error) {
	return n.dialer.DialContext(ctx, "tcp", net.JoinHostPort(e.Address, strconv.Itoa(e.Port)))
}

// DialService implements verify.Dialer. A headless Service has no address of its own.
func (n *PodNetwork) DialService(ctx context.Context, clusterIP string, port int) (net.Conn, error) {
	if net.ParseIP(clusterIP) == nil {
		return nil, errors.ErrUnsupported
	}
	return n.dialer.DialContext(ctx, "tcp", net.JoinHostPort(clusterIP, strconv.Itoa(port)))
}
