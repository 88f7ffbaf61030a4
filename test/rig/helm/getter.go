package helm

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// clientGetter leads Helm to a cluster. The ready-made one of cli-runtime would keep what the cluster serves in the user's home
// folder, for hours and by the API server's address, which another test may have had before.
type clientGetter struct {
	loader    clientcmd.ClientConfig
	config    *rest.Config
	discovery discovery.CachedDiscoveryInterface
}

// newClientGetter reads a kubeconfig file.
func newClientGetter(kubeconfig, namespace string) (*clientGetter, error) {
	overrides := &clientcmd.ConfigOverrides{}
	overrides.Context.Namespace = namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	// client-go's default of 5 requests a second is made for shared clusters, and hides how long a change takes.
	config.QPS = -1
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating the discovery client: %w", err)
	}
	return &clientGetter{loader: loader, config: config, discovery: memory.NewMemCacheClient(client)}, nil
}

// ToRESTConfig returns what the kubeconfig says.
func (g *clientGetter) ToRESTConfig() (*rest.Config, error) {
	return rest.CopyConfig(g.config), nil
}

// forget makes the getter ask the cluster again what it serves.
func (g *clientGetter) forget() { g.discovery.Invalidate() }

// ToDiscoveryClient returns a client that asks the cluster once for what it serves.
func (g *clientGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

// ToRESTMapper returns a mapper of kinds to resources that asks the cluster again for a kind it does not know.
func (g *clientGetter) ToRESTMapper() (meta.RESTMapper, error) {
	return restmapper.NewDeferredDiscoveryRESTMapper(g.discovery), nil
}

// ToRawKubeConfigLoader returns where the kubeconfig was read from, with the namespace laid over it.
func (g *clientGetter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return g.loader
}
