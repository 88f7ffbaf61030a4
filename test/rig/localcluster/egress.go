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

// egressConfig is the path of the file that tells kube-apiserver what it dials through.
func (c *Cluster) egressConfig() string { return filepath.Join(c.Dir, "egress.yaml") }

// openEgress opens the socket that kube-apiserver dials everything inside the cluster through, and writes the file that tells it
// so. A connection waits until serveEgress.
func (c *Cluster) openEgress() (net.Listener, error) {
	socket := filepath.Join(c.Dir, "egress.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("opening the socket for kube-apiserver's connections: %w", err)
	}
	c.atStop(func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
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
	if err := os.WriteFile(c.egressConfig(), []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("writing kube-apiserver's egress configuration: %w", err)
	}
	return listener, nil
}

// serveEgress begins to follow Services and their endpoints, with kube-proxy's own rights, and to lead connections there. It
// returns when all are known.
func (c *Cluster) serveEgress(ctx context.Context, listener net.Listener) error {
	config, err := c.userConfig(proxyUser)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("creating the network's client: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	c.network = newNetwork(factory.Core().V1().Services().Lister(), factory.Discovery().V1().EndpointSlices().Lister())
	stop := make(chan struct{})
	factory.Start(stop)
	proxy := &http.Server{Handler: c.network, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- proxy.Serve(listener) }()
	c.atStop(func() error {
		err := proxy.Close()
		if served := <-served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		close(stop)
		factory.Shutdown()
		return err
	})
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("waiting for the list of every %s: %w", kind, context.Cause(ctx))
		}
	}
	return nil
}
