package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Where the chart mounts certificates, whatever the mode.
const (
	webhookFolder = "/etc/tls"
	routerFolder  = "/etc/router-tls"
)

// server is what serves TLS behind a Service, and all that is read about it.
type server struct {
	Server
	folder  string
	entries []*entry
	// certificate is cert-manager's object, as namespace/name; empty when it is not known.
	certificate string
	// dnsNames are those that the certificate must be for. The router's are those of its certificate when empty.
	dnsNames []string
	stored   *storedSecret
	// checked is what gen.Check says of stored.
	checked gen.Validation
	served  []served
}

// served is what one endpoint serves.
type served struct {
	endpoint Endpoint
	chain    []*x509.Certificate
}

func (s *server) object(v *Verifier) string { return "Service " + v.Namespace + "/" + s.Name }

// look reads everything about a server, and dials its endpoints.
func (v *Verifier) look(ctx context.Context, s *server) error {
	group := newGroup()
	group.run(func() error { return v.lookAtService(ctx, s) })
	group.run(func() error { return v.lookAtSecret(ctx, s) })
	return group.wait()
}

// lookAtService finds the ready endpoints and what they serve.
func (v *Verifier) lookAtService(ctx context.Context, s *server) error {
	var svc service
	var slices list[EndpointSlice]
	var found, known bool
	group := newGroup()
	group.run(func() (err error) {
		found, known, err = v.get(ctx, "/api/v1", "services", s.Name, nil, &svc)
		return err
	})
	listed := false
	group.run(func() (err error) {
		query := url.Values{"labelSelector": {"kubernetes.io/service-name=" + s.Name}}
		listed, _, err = v.get(ctx, "/apis/discovery.k8s.io/v1", "endpointslices", "", query, &slices)
		return err
	})
	if err := group.wait(); err != nil {
		return err
	}
	if known && !found {
		v.find(ServiceMissing, s.object(v), v.upgradeRemedy(), "it does not exist%s", s.calledBy())
		v.broken(s)
		return nil
	}
	if !found || !listed {
		return nil
	}
	portName, ok := svc.port(s.Port)
	if !ok {
		v.find(ServicePort, s.object(v), v.upgradeRemedy(), "it has no port %d%s", s.Port, s.calledBy())
		v.broken(s)
		return nil
	}
	s.Endpoints = ReadyEndpoints(slices.Items, portName)
	if len(s.Endpoints) == 0 {
		v.find(NoEndpoints, s.object(v), v.podsRemedy(s.Deployment), "no pod behind it is ready%s", s.calledBy())
		v.broken(s)
		return nil
	}
	return v.dial(ctx, s, svc.Spec.ClusterIP)
}

// calledBy says which entries lead to the server, for a sentence about it.
func (s *server) calledBy() string {
	if len(s.entries) == 0 {
		return ""
	}
	names := make([]string, 0, len(s.entries))
	for _, e := range s.entries {
		names = append(names, e.Name)
	}
	return ", and is called by " + strings.Join(names, ", ")
}

// broken takes note that calls to a server are bound to fail.
func (v *Verifier) broken(s *server) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range s.entries {
		e.broken = true
	}
}

// port is the name of a port, which ties it to that of the EndpointSlices.
func (s service) port(number int) (string, bool) {
	for _, p := range s.Spec.Ports {
		if p.Port == number {
			return p.Name, true
		}
	}
	return "", false
}

// ReadyEndpoints are the ready endpoints of the slices of one Service, one for each pod, behind the port of that name.
func ReadyEndpoints(list []EndpointSlice, portName string) []Endpoint {
	ready := []Endpoint{}
	for _, slice := range list {
		for _, p := range slice.Ports {
			if p.Name != portName || p.Port == 0 {
				continue
			}
			for _, e := range slice.Endpoints {
				if len(e.Addresses) == 0 || e.Conditions.Ready != nil && !*e.Conditions.Ready {
					continue
				}
				found := Endpoint{Address: e.Addresses[0], Port: p.Port}
				if e.TargetRef.Kind == "Pod" {
					found.Pod = e.TargetRef.Name
				}
				ready = append(ready, found)
			}
		}
	}
	slices.SortFunc(ready, func(a, b Endpoint) int { return strings.Compare(a.Pod+a.Address, b.Pod+b.Address) })
	// One address of each pod is enough: a Service with two IP families has two slices.
	return slices.CompactFunc(ready, func(a, b Endpoint) bool { return a.Pod != "" && a.Pod == b.Pod })
}

// dial asks every endpoint for its certificate, and the Service where it can be reached.
func (v *Verifier) dial(ctx context.Context, s *server, clusterIP string) error {
	s.served = make([]served, len(s.Endpoints))
	group := newGroup()
	for i, e := range s.Endpoints {
		group.run(func() error {
			chain, err := Show(ctx, s.name(v), func(ctx context.Context) (net.Conn, error) {
				return v.Dialer.DialEndpoint(ctx, v.Namespace, e)
			})
			if v.forbidden(err, "create", "pods/portforward", "") {
				return nil
			}
			if isUnsupported(err) {
				return nil
			}
			if err != nil {
				v.unreachable(s, e.object(v), err)
				return nil
			}
			s.served[i] = served{e, chain}
			s.Endpoints[i].Certificate = described(chain[0])
			return nil
		})
	}
	group.run(func() error {
		_, err := Show(ctx, s.name(v), func(ctx context.Context) (net.Conn, error) {
			return v.Dialer.DialService(ctx, clusterIP, s.Port)
		})
		if err != nil && !isUnsupported(err) {
			v.unreachable(s, s.object(v), err)
		}
		return nil
	})
	if err := group.wait(); err != nil {
		return err
	}
	s.served = slices.DeleteFunc(s.served, func(s served) bool { return s.chain == nil })
	return context.Cause(ctx)
}

func (e Endpoint) object(v *Verifier) string {
	if e.Pod == "" {
		return "endpoint " + e.name()
	}
	return "Pod " + v.Namespace + "/" + e.Pod
}

// name is that of the pod, or the address of an endpoint that is none.
func (e Endpoint) name() string {
	if e.Pod == "" {
		return net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
	}
	return e.Pod
}

// name is what the API server calls a Service by: the name that the certificate has to be for.
func (s *server) name(v *Verifier) string { return fmt.Sprintf("%s.%s.svc", s.Name, v.Namespace) }
