package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/utils/ptr"
)

// beforeFirstPodIP is one below the first address that a pod gets. The addresses exist in the API alone, nothing listens on them: a
// real loopback address will not do, for the API server refuses it in an EndpointSlice.
var beforeFirstPodIP = netip.MustParseAddr("10.128.0.0")

// network plays the pod network and kube-proxy: it leads a connection to a Service or a pod to the loopback address where the
// pod's process listens. It is also the HTTP CONNECT proxy that kube-apiserver dials webhooks and the kubelet through.
type network struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	turn     atomic.Uint64 // which endpoint is next

	mu       sync.Mutex
	last     netip.Addr
	hosts    map[string]map[int32]string // by the address of a pod, or the node's name: where each of its ports is served
	isolated map[string]bool
}

// newNetwork makes a network without pods.
func newNetwork(services corelisters.ServiceLister, slices discoverylisters.EndpointSliceLister) *network {
	return &network{
		services: services, slices: slices,
		last: beforeFirstPodIP, hosts: map[string]map[int32]string{}, isolated: map[string]bool{},
	}
}

// allocateIP returns an address for a pod that no other pod has had.
func (n *network) allocateIP() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = n.last.Next()
	return n.last.String()
}

// attach makes a pod or the node reachable: ports says for each port at which address of this machine it is served. It replaces
// what was said before.
func (n *network) attach(host string, ports map[int32]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host] = maps.Clone(ports)
}

// detach makes a pod or the node unreachable.
func (n *network) detach(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.hosts, host)
}

// isolate says whether connections to the pod are refused from now on.
func (n *network) isolate(podIP string, isolated bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.isolated[podIP] = isolated
}

// dialPod connects to a port of a pod, unless it is isolated.
func (n *network) dialPod(ctx context.Context, podIP string, port int32) (net.Conn, error) {
	n.mu.Lock()
	isolated := n.isolated[podIP]
	n.mu.Unlock()
	if isolated {
		return nil, fmt.Errorf("dialing pod %s: connection refused by a policy", podIP)
	}
	return n.connect(ctx, podIP, port)
}

// connect connects to a port of a pod, whatever keeps others out.
func (n *network) connect(ctx context.Context, podIP string, port int32) (net.Conn, error) {
	n.mu.Lock()
	address, ok := n.hosts[podIP][port]
	n.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("dialing pod %s: connection refused: nothing listens on port %d", podIP, port)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dialing pod %s port %d: %w", podIP, port, err)
	}
	return conn, nil
}

// dialService connects to a port of a Service, which host names by its ClusterIP or its DNS name (name.namespace.svc, with or
// without a cluster domain). Its endpoints take turns.
func (n *network) dialService(ctx context.Context, host string, port int32) (net.Conn, error) {
	service, err := n.service(host)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("service %s/%s port %d", service.Namespace, service.Name, port)
	endpoints, err := n.endpoints(service, port)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", id, err)
	}
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("dialing %s: connection refused: no endpoint is ready", id)
	}
	chosen := endpoints[n.turn.Add(1)%uint64(len(endpoints))]
	conn, err := n.dialPod(ctx, chosen.ip, chosen.port)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", id, err)
	}
	return conn, nil
}

// dial connects to what the API server calls: a Service by its ClusterIP, a pod, when it chooses endpoints itself (see
// Options.AggregatorRouting), or the kubelet by the node's name.
func (n *network) dial(ctx context.Context, host string, port int32) (net.Conn, error) {
	n.mu.Lock()
	_, attached := n.hosts[host]
	n.mu.Unlock()
	if attached {
		return n.dialPod(ctx, host, port)
	}
	return n.dialService(ctx, host, port)
}

// service finds the Service that host names.
func (n *network) service(host string) (*corev1.Service, error) {
	if parts := strings.SplitN(host, ".", 4); len(parts) >= 3 && parts[2] == "svc" {
		service, err := n.services.Services(parts[1]).Get(parts[0])
		if err != nil {
			return nil, fmt.Errorf("resolving %s: %w", host, err)
		}
		return service, nil
	}
	services, err := n.services.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("listing services: %w", err)
	}
	for _, service := range services {
		if service.Spec.ClusterIP == host {
			return service, nil
		}
	}
	return nil, fmt.Errorf("dialing %s: no route to host: no service has this address", host)
}

// endpoint is where one pod serves one port of a Service.
type endpoint struct {
	ip   string
	port int32
}

// endpoints returns where the port of a Service is served: by its ready endpoints or, as kube-proxy has it, when there is none,
// by those that are ending but still serve.
func (n *network) endpoints(service *corev1.Service, port int32) ([]endpoint, error) {
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port })
	if i < 0 {
		return nil, errors.New("connection refused: the service has no such port")
	}
	ofService := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	found, err := n.slices.EndpointSlices(service.Namespace).List(ofService)
	if err != nil {
		return nil, fmt.Errorf("listing its endpoint slices: %w", err)
	}
	var ready, ending []endpoint
	for _, slice := range found {
		for _, p := range slice.Ports {
			if p.Port == nil || ptr.Deref(p.Name, "") != service.Spec.Ports[i].Name {
				continue
			}
			for _, e := range slice.Endpoints {
				at := endpoint{ip: e.Addresses[0], port: *p.Port}
				switch {
				case ptr.Deref(e.Conditions.Ready, true):
					ready = append(ready, at)
				case ptr.Deref(e.Conditions.Serving, false) && ptr.Deref(e.Conditions.Terminating, false):
					ending = append(ending, at)
				}
			}
		}
	}
	if len(ready) > 0 {
		return ready, nil
	}
	return ending, nil
}

// ServeHTTP serves kube-apiserver's CONNECT requests for the address of a Service or a pod, or for the kubelet.
func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT is served here", http.StatusMethodNotAllowed)
		return
	}
	host, portText, err := net.SplitHostPort(r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	port, err := strconv.ParseInt(portText, 10, 32)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	upstream, dialErr := n.dial(r.Context(), host, int32(port))
	if dialErr == nil {
		defer upstream.Close()
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer client.Close()
	if dialErr != nil {
		// The reason phrase is all that kube-apiserver hands on of an answer, and a webhook's caller has to learn the cause.
		cause := strings.ReplaceAll(dialErr.Error(), "\n", " ")
		_, _ = fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", http.StatusBadGateway, cause)
		return
	}
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	join(client, buffered, upstream)
}

// join copies both ways until one side has ended, and then ends the other. What the client sends comes from fromClient.
//
// Whoever sees the end passes it on, and nobody is waited for before that: until the client learns that the server has
// closed the connection, it may send a request into it, and here it must not have more time for that than on a network.
func join(client io.WriteCloser, fromClient io.Reader, upstream net.Conn) {
	var other sync.WaitGroup
	other.Go(func() {
		_, _ = io.Copy(upstream, fromClient)
		upstream.Close()
		client.Close()
	})
	_, _ = io.Copy(client, upstream)
	client.Close()
	upstream.Close()
	other.Wait()
}
