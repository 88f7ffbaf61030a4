// Package resource is the table of the API's resources that the program reads or writes: where each is and what it is called.
package resource

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// Resource is a kind of object in the API.
type Resource struct {
	Group, Version string
	// Kind is what an object says that it is, Plural what its path and the rights to it say.
	Kind, Plural string
}

// The groups; that of Secrets has no name.
const (
	apps        = "apps"
	admission   = admissionv1.GroupName
	discovery   = "discovery.k8s.io"
	certManager = "cert-manager.io"
)

// Those of namespaces.
var (
	Secrets        = Resource{"", "v1", "Secret", "secrets"}
	Services       = Resource{"", "v1", "Service", "services"}
	Pods           = Resource{"", "v1", "Pod", "pods"}
	Events         = Resource{"", "v1", "Event", "events"}
	Deployments    = Resource{apps, "v1", "Deployment", "deployments"}
	EndpointSlices = Resource{discovery, "v1", "EndpointSlice", "endpointslices"}
	Certificates   = Resource{certManager, "v1", "Certificate", "certificates"}
	Issuers        = Resource{certManager, "v1", "Issuer", "issuers"}
)

// Those of the cluster.
var (
	MutatingWebhookConfigurations   = Resource{admission, "v1", webhook.Mutating, "mutatingwebhookconfigurations"}
	ValidatingWebhookConfigurations = Resource{admission, "v1", webhook.Validating, "validatingwebhookconfigurations"}
	ClusterIssuers                  = Resource{certManager, "v1", "ClusterIssuer", "clusterissuers"}
)

// WebhookConfigurations are those of both kinds, in the order in which the API server calls them.
var WebhookConfigurations = []Resource{MutatingWebhookConfigurations, ValidatingWebhookConfigurations}

// GroupVersion is the group with the version.
func (r Resource) GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: r.Group, Version: r.Version}
}

// APIVersion is what objects say of their group and version.
func (r Resource) APIVersion() string { return r.GroupVersion().String() }

// GroupPath is where the API server lists what the group and version have.
func (r Resource) GroupPath() string {
	if r.Group == "" {
		return "/api/" + r.APIVersion()
	}
	return "/apis/" + r.APIVersion()
}

// Path is where the object of that name is, or all of them when there is no name. The namespace is empty for what is in none, and for
// the objects of all.
func (r Resource) Path(namespace, name string) string {
	path := r.GroupPath()
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	path += "/" + r.Plural
	if name != "" {
		path += "/" + name
	}
	return path
}
