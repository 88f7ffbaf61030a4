package verify

import (
	"context"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
)

// The names of the router's Deployment and Service, and the port of the Service.
const (
	routerName = "kthena-router"
	routerPort = 80
)

// findRouter returns the router's server, nil when it serves no TLS.
func (v *Verifier) findRouter(ctx context.Context) (*server, error) {
	var d deployment
	found, _, err := v.get(ctx, resource.Deployments, routerName, nil, &d)
	if err != nil || !found {
		return nil, err
	}
	v.expectController(d)
	s := &server{Server: Server{Name: routerName, Deployment: routerName, Port: routerPort, Endpoints: []Endpoint{}}, folder: routerFolder}
	if s.Secret.Name, s.dnsNames = d.Spec.Template.Spec.mounted(routerFolder); s.Secret.Name == "" {
		return nil, nil
	}
	if v.report.Mode == "" && len(s.dnsNames) > 0 {
		v.report.Mode = Auto
	}
	return s, nil
}

// judgeRouter compares what the router serves with what its clients trust: the CA of its Secret, by the names that the
// certificate must be for.
func (v *Verifier) judgeRouter(s *server) {
	if len(s.entries) > 0 || s.stored == nil {
		return
	}
	cas := s.checked.CAs
	refused := false
	for _, shown := range s.served {
		names := s.dnsNames
		if len(names) == 0 && s.checked.Leaf != nil {
			names = s.checked.Leaf.DNSNames
		}
		for _, name := range append([]string{""}, names...) {
			o := OutcomeOf(shown.chain, cas, name, v.now())
			if o.Code == "" {
				if s.NotAfter == nil || o.NotAfter.Before(*s.NotAfter) {
					s.NotAfter = &o.NotAfter
				}
				continue
			}
			refused = true
			object, remedy := s.object(v), v.renewRemedy(s)
			if len(s.served) > 1 || o.Code == Untrusted {
				object, remedy = shown.endpoint.object(v), v.podRemedy(shown.endpoint)
			}
			v.find(
				o.Code, object, remedy, "the certificate %s that the router serves %s: Secret %s says who its clients trust", short(shown.chain[0]),
				o.Detail, s.Secret.Name,
			)
			break
		}
	}
	if refused {
		s.NotAfter = nil
	}
}
