package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
)

// maxSocketPath is how long the path of a Unix socket may be on Linux: sockaddr_un has 108 bytes, one of which ends the path.
const maxSocketPath = 107

// startEgress opens the socket that kube-apiserver dials everything inside the cluster through, and returns the path of
// the file that tells it so. Nothing can be reached before startNetwork.
func (c *Cluster) startEgress() (string, error) {
	socket := filepath.Join(c.Dir, "egress.sock")
	if len(socket) > maxSocketPath {
		return "", fmt.Errorf("the path of the cluster's folder, %s, is too long by %d bytes to hold a socket", c.Dir, len(socket)-maxSocketPath)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return "", fmt.Errorf("opening the socket for kube-apiserver's connections: %w", err)
	}
	c.network = newNetwork()
	proxy := &http.Server{Handler: c.network, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- proxy.Serve(listener) }()
	c.undo = append(c.undo, func() error {
		err := proxy.Close()
		if served := <-served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})

	path := filepath.Join(c.Dir, "egress.yaml")
	config := fmt.Sprintf(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection: {proxyProtocol: HTTPConnect, transport: {uds: {udsName: %q}}}
- name: controlplane
  connection: {proxyProtocol: Direct}
- name: etcd
  connection: {proxyProtocol: Direct}
`, socket)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return "", fmt.Errorf("writing kube-apiserver's egress configuration: %w", err)
	}
	return path, nil
}

// startNetwork begins to follow Services and their endpoints, with kube-proxy's own rights, and returns when all are known.
func (c *Cluster) startNetwork(ctx context.Context) error {
	config, err := c.userConfig(proxyUser)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("creating the network's client: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	c.network.follow(factory.Core().V1().Services().Lister(), factory.Discovery().V1().EndpointSlices().Lister())
	stop := make(chan struct{})
	factory.Start(stop)
	c.undo = append(c.undo, func() error {
		close(stop)
		factory.Shutdown()
		return nil
	})
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("waiting for the list of every %s: %w", kind, context.Cause(ctx))
		}
	}
	return nil
}
