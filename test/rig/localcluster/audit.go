package localcluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// auditPolicy logs every request once, when it has been answered, but for those of the components of Kubernetes that are played
// or run here, which are many and nobody's business.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver", "` + controllersUser + `", "` + proxyUser + `", "` + kubeletUser + `"]
- level: Metadata
`

// Request is one request to the API server.
type Request struct {
	// Time is when it arrived.
	Time time.Time
	// Verb is Kubernetes' verb, such as get or patch.
	Verb string
	// Resource and Subresource are the kind of object in the API's terms, such as secrets. Both are empty for a request about
	// something else, such as /version.
	Resource, Subresource string
	// Namespace and Name are the object's. The name is empty when the verb is list, watch or create.
	Namespace, Name string
	// Code is the HTTP status of the response.
	Code int
}

// String says the request as verb, resource with subresource, and code, such as "update pods/status 200".
func (r Request) String() string {
	resource := r.Resource
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	return fmt.Sprintf("%s %s %d", r.Verb, resource, r.Code)
}

// Count says how often each kind of request occurs, by the words of [Request.String].
func Count(requests []Request) map[string]int {
	count := map[string]int{}
	for _, r := range requests {
		count[r.String()]++
	}
	return count
}

// Requests returns the requests of a user, such as system:serviceaccount:default:reader, whose responses have ended before the
// call. Requests that still run may be missing: none is logged before its response, but the API server logs a request before
// it ends the response, so a client that has its answer finds the request here.
func (c *Cluster) Requests(user string) ([]Request, error) {
	text, err := os.ReadFile(c.auditLog())
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	// A line that is being written is not complete.
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	var requests []Request
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("reading a line of the audit log: %w", err)
		}
		// A watch is logged when it begins and when it ends.
		if event.User.Username != user || seen[string(event.AuditID)] {
			continue
		}
		seen[string(event.AuditID)] = true
		requests = append(requests, newRequest(event))
	}
	return requests, nil
}

func newRequest(event auditv1.Event) Request {
	r := Request{Time: event.RequestReceivedTimestamp.Time, Verb: event.Verb}
	if event.ObjectRef != nil {
		r.Resource, r.Subresource = event.ObjectRef.Resource, event.ObjectRef.Subresource
		r.Namespace, r.Name = event.ObjectRef.Namespace, event.ObjectRef.Name
	}
	if event.ResponseStatus != nil {
		r.Code = int(event.ResponseStatus.Code)
	}
	return r
}

// auditLog is the path of the API server's audit log.
func (c *Cluster) auditLog() string { return filepath.Join(c.Dir, "audit.log") }
