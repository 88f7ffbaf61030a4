package offline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Site is the installation of the chart that a folder is for.
type Site struct {
	// Namespace is where the chart is installed.
	Namespace string
	// Subcharts are those that are installed, out of [Subcharts].
	Subcharts []string
	// ClusterDomain is the DNS domain of the cluster, such as cluster.local.
	ClusterDomain string
	// RouterDNSName is what clients outside call the router by. Empty: the router serves no TLS.
	RouterDNSName string
}

// Subcharts lists the subcharts that have servers with certificates.
var Subcharts = []string{"registry", "workload", "networking"}

// server is one server with a certificate, in the chart's names.
type server struct {
	// subchart and component are where its values are.
	subchart, component string
	// service is the Service that it is called through.
	service string
	// secret is the Secret that manual mode mounts.
	secret string
	// router says that it is the router itself and no webhook.
	router bool
}

// servers are all of the chart. The chart's tests prove that it agrees, but for the Secrets: they have names of their own, so that on a
// switch neither cert-manager nor anybody who gave the chart a Secret before has his replaced.
var servers = []server{
	{subchart: "registry", component: "controllerManager", service: "registry-webhook", secret: "registry-webhook-certs-manual"},
	{subchart: "workload", component: "controllerManager", service: "workload-webhook", secret: "workload-webhook-certs-manual"},
	{subchart: "networking", component: "kthenaRouter", service: "networking-webhook", secret: "networking-webhook-certs-manual"},
	{subchart: "networking", component: "kthenaRouter", service: "kthena-router", secret: "kthena-router-tls-manual", router: true},
}

// Validate reports the first thing that is wrong with s, but for the namespace.
func (s Site) Validate() error {
	if len(s.Subcharts) == 0 {
		return fmt.Errorf("no subchart is named: use %s", strings.Join(Subcharts, ", "))
	}
	for _, name := range s.Subcharts {
		if !slices.Contains(Subcharts, name) {
			return fmt.Errorf("subchart %q is unknown: use %s", name, strings.Join(Subcharts, ", "))
		}
	}
	if err := gen.ValidateDNSName(s.ClusterDomain); err != nil {
		return fmt.Errorf("the cluster's domain: %w", err)
	}
	if s.RouterDNSName == "" {
		return nil
	}
	if !slices.Contains(s.Subcharts, "networking") {
		return errors.New("the router has a DNS name, but its subchart networking is not named")
	}
	if err := gen.ValidateDNSName(s.RouterDNSName); err != nil {
		return fmt.Errorf("the router's name: %w", err)
	}
	return nil
}

// servers are those of the site.
func (s Site) servers() []server {
	var some []server
	for _, srv := range servers {
		if slices.Contains(s.Subcharts, srv.subchart) && (!srv.router || s.RouterDNSName != "") {
			some = append(some, srv)
		}
	}
	return some
}

// dnsNames are what srv is called by.
func (s Site) dnsNames(srv server) []string {
	inside := srv.service + "." + s.Namespace + ".svc"
	names := []string{inside, inside + "." + s.ClusterDomain}
	if srv.router {
		names = slices.Insert(names, 0, s.RouterDNSName)
	}
	return names
}
