// Package verify says whether the certificates of a release do what they are for: whether the API server can call every
// admission webhook, and clients the router, now and for some time to come. It finds the objects of a release by the
// chart's labels, does not depend on where the certificates come from, and changes nothing: dry-run creates are its only
// writes.
//
// The certificate that counts is the one that is served. Every ready endpoint is asked for it, and it is verified against
// the caBundle of every webhook entry that leads there, as kube-apiserver does. Everything else is read to say why, and
// which command helps.
package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// API reads and creates objects by their path in the API. Its errors are those of the API server, see
// k8s.io/apimachinery/pkg/api/errors, as far as it has answered.
type API interface {
	// Get reads the object, or the list, at path into o, from its JSON form.
	Get(ctx context.Context, path string, query url.Values, o any) error
	// DryRunCreate creates an object, which is not stored.
	DryRunCreate(ctx context.Context, path string, o any) error
	// Ahead is by how much the clock here is ahead of the API server's, zero when the difference is not worth a word. It is known after
	// the first answer.
	Ahead() time.Duration
}

// Dialer connects to servers in the cluster.
type Dialer interface {
	// DialEndpoint connects to a port of a ready endpoint of a Service.
	DialEndpoint(ctx context.Context, namespace string, e Endpoint) (net.Conn, error)
	// DialService connects to a port of a Service by its cluster IP, as kube-apiserver does. It returns errors.ErrUnsupported
	// where that cannot be reached.
	DialService(ctx context.Context, clusterIP string, port int) (net.Conn, error)
}

const (
	labelInstance  = "app.kubernetes.io/instance"
	labelComponent = "app.kubernetes.io/component"

	// annotationCertgen begins the name of what the chart sets on the configurations whose CA certgen keeps.
	annotationCertgen = "certgen.kthena.volcano.sh/"
	// annotationController is set by the chart on the Deployments of the components, and names that of the controller.
	annotationController = "certgen.kthena.volcano.sh/controller"
	// annotationInjectFrom names cert-manager's Certificate, as namespace/name.
	annotationInjectFrom = "cert-manager.io/inject-ca-from"
	// annotationCertificateName is set by cert-manager on the Secrets that it writes.
	annotationCertificateName = "cert-manager.io/certificate-name"

	// maxWarnWithin is the default of WarnWithin, where a tenth of a certificate's life is not shorter.
	maxWarnWithin = 30 * 24 * time.Hour
)

// Verifier is one look at a release.
type Verifier struct {
	API       API
	Dialer    Dialer
	Release   string
	Namespace string
	// WarnWithin is the remaining life below which a certificate is found to expire soon. Zero is 30 days, or a tenth of
	// the certificate's life where that is shorter.
	WarnWithin time.Duration
	// Now is the clock here. Certificates are judged by the API server's.
	Now func() time.Time

	mu     sync.Mutex
	report Report
	// controller is the Deployment that is to keep the release in order, empty when there is to be none.
	controller string
}

// ErrNothing says that there is nothing to verify.
var ErrNothing = errors.New("nothing to verify")

// Run looks at everything and returns the report. It returns an error when the API server cannot be asked, with a report
// of what was seen until then. What the API server forbids is no error but is listed in the report.
func (v *Verifier) Run(ctx context.Context) (Report, error) {
	v.report = Report{
		Schema: Schema, Release: v.Release, Namespace: v.Namespace,
		Webhooks: []Webhook{}, Servers: []Server{}, Findings: []Finding{},
	}
	err := v.run(ctx)
	v.report.Time = v.now().UTC().Truncate(time.Second)
	v.report.finish()
	return v.report, err
}

func (v *Verifier) run(ctx context.Context) error {
	entries, err := v.entries(ctx)
	if err != nil {
		return err
	}
	v.checkClock()
	servers := v.servers(entries)
	router, err := v.findRouter(ctx)
	if err != nil {
		return err
	}
	if router != nil {
		servers = append(servers, router)
	}
	if len(servers) == 0 && len(v.report.MissingRights) == 0 {
		return fmt.Errorf(
			"%w: no webhook configuration for namespace %s has the label %s=%s, and no router there serves TLS: name the release, see: helm list "+
				"--all-namespaces",
			ErrNothing, v.Namespace, labelInstance, v.Release,
		)
	}

	// Without a context of its own: when one fails the others end, so that the report holds what they see.
	var group errgroup.Group
	for _, s := range servers {
		group.Go(func() error { return v.look(ctx, s) })
	}
	for _, a := range asks(entries) {
		group.Go(func() error { return v.ask(ctx, a) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := v.lookAtController(ctx); err != nil {
		return err
	}
	for _, e := range entries {
		v.judge(e)
	}
	for _, s := range servers {
		v.judgeServer(s, entries)
	}
	v.describe(entries, servers)
	return nil
}

// now is the time by the API server's clock.
func (v *Verifier) now() time.Time { return v.Now().Add(-v.API.Ahead()) }

func (v *Verifier) checkClock() {
	ahead := v.API.Ahead()
	if ahead == 0 {
		return
	}
	word := "ahead of"
	if ahead < 0 {
		word = "behind"
	}
	v.find(ClockSkew, "this machine", "set its clock by a time server, such as: timedatectl set-ntp true",
		"its clock is %s %s the API server's", ahead.Abs().Round(time.Second), word)
}

// find records a finding.
func (v *Verifier) find(code Code, object, remedy, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := Finding{Code: code, Severity: describe(code).Severity, Object: object, Message: oneLine(fmt.Sprintf(format, args...)), Remedy: remedy}
	if !slices.Contains(v.report.Findings, f) {
		v.report.Findings = append(v.report.Findings, f)
	}
}

// oneLine puts a text that others have written into one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// forbidden records a right that is missing and reports whether err says that one is.
func (v *Verifier) forbidden(err error, verb, resource, name string) bool {
	if !apierrors.IsForbidden(err) {
		return false
	}
	right := verb + " " + resource
	if name != "" {
		right += " " + name
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.MissingRights = append(v.report.MissingRights, right)
	return true
}

// get reads an object of the namespace, or a list when there is no name. It reports whether there is one, and whether that is
// known: it is not when reading it is forbidden.
func (v *Verifier) get(ctx context.Context, r resource.Resource, name string, query url.Values, o any) (found, known bool, err error) {
	verb, doing := "list", "listing"
	if name != "" {
		verb, doing = "get", "getting"
	}
	err = v.API.Get(ctx, r.Path(v.Namespace, name), query, o)
	switch {
	case err == nil:
		return true, true, nil
	case apierrors.IsNotFound(err):
		return false, true, nil
	case v.forbidden(err, verb, r.Plural, name):
		return false, false, nil
	}
	return false, false, fmt.Errorf("%s %s %s: %w", doing, r.Plural, strings.TrimSuffix(v.Namespace+"/"+name, "/"), err)
}

// described is what the report says of a certificate.
func described(c *x509.Certificate) *Certificate {
	if c == nil {
		return nil
	}
	return &Certificate{Fingerprint: gen.Fingerprint(c), NotAfter: c.NotAfter}
}

// soon reports whether what ends at notAfter ends too soon, for a certificate.
func (v *Verifier) soon(leaf *x509.Certificate, notAfter time.Time) bool {
	within := v.WarnWithin
	if within == 0 {
		within = min(maxWarnWithin, leaf.NotAfter.Sub(leaf.NotBefore)/10)
	}
	return notAfter.Sub(v.now()) < within
}

// short is the beginning of a fingerprint, enough to tell certificates apart.
func short(c *x509.Certificate) string { return gen.Fingerprint(c)[:len("sha256:")+12] }

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// left is a remaining life in the largest unit that says enough.
func left(d time.Duration) string {
	if d >= 48*time.Hour {
		return strconv.Itoa(int(d/(24*time.Hour))) + " days"
	}
	return d.Round(time.Second).String()
}

// describe puts what was seen into the report.
func (v *Verifier) describe(entries []*entry, servers []*server) {
	for _, e := range entries {
		v.report.Webhooks = append(v.report.Webhooks, e.Webhook)
	}
	for _, s := range servers {
		v.report.Servers = append(v.report.Servers, s.Server)
	}
}
