package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// entry is one entry of a webhook configuration.
type entry struct {
	Webhook
	component string
	port      int
	rules     []admissionv1.RuleWithOperations
	ignores   bool // failures, by its failurePolicy
	mutates   bool
	cas       []*x509.Certificate
	// certificate is the Certificate that cert-manager takes the CA from, as namespace/name.
	certificate string
	// failure is what the API server said of a call that failed.
	failure string
	// broken is whether a finding about the entry explains a failed call.
	broken bool
	server *server
}

func (e *entry) object() string { return "webhook " + e.Name + " of " + e.Kind + " " + e.Configuration }

// entries reads the webhook configurations of the release.
func (v *Verifier) entries(ctx context.Context) ([]*entry, error) {
	var found []*entry
	query := url.Values{"labelSelector": {labelInstance + "=" + v.Release}}
	for _, r := range resource.WebhookConfigurations {
		var configurations list[configuration]
		if err := v.API.Get(ctx, r.Path("", ""), query, &configurations); err != nil {
			if v.forbidden(err, "list", r.Plural, "") {
				continue
			}
			return nil, fmt.Errorf("listing %s: %w", r.Plural, err)
		}
		for _, c := range configurations.Items {
			for _, w := range c.Webhooks {
				s := w.ClientConfig.Service
				if s == nil || s.Namespace != v.Namespace {
					continue
				}
				e := v.newEntry(r, c, w)
				found = append(found, e)
				v.checkBundle(e, w.ClientConfig.CABundle)
			}
		}
	}
	return found, nil
}

func (v *Verifier) newEntry(r resource.Resource, c configuration, w admissionv1.ValidatingWebhook) *entry {
	e := &entry{
		Webhook: Webhook{
			Kind: r.Kind, Configuration: c.Metadata.Name, Name: w.Name, Server: w.ClientConfig.Service.Name,
			CAs: []Certificate{}, BundleManagers: bundleManagers(c.Metadata, w.Name), Admission: NotAsked,
		},
		component:   c.Metadata.Labels[labelComponent],
		port:        443, // the API's default
		rules:       w.Rules,
		mutates:     r == resource.MutatingWebhookConfigurations,
		certificate: c.Metadata.Annotations[annotationInjectFrom],
	}
	if w.ClientConfig.Service.Port != nil {
		e.port = int(*w.ClientConfig.Service.Port)
	}
	if w.FailurePolicy != nil {
		e.FailurePolicy = string(*w.FailurePolicy)
		e.ignores = *w.FailurePolicy == admissionv1.Ignore
	}
	mode := Manual
	switch {
	case hasPrefix(c.Metadata.Annotations, annotationCertgen):
		mode = Auto
	case e.certificate != "":
		mode = CertManager
	}
	v.report.Mode = mode
	return e
}

// checkBundle looks at a caBundle by itself.
func (v *Verifier) checkBundle(e *entry, bundle []byte) {
	expired := 0
	var unreadable [][]byte
	e.cas, unreadable = gen.ParseCertificates(bundle)
	for _, c := range e.cas {
		e.CAs = append(e.CAs, *described(c))
		if v.now().After(c.NotAfter) {
			expired++
		}
	}
	remedy := v.trustRemedy(e.component)
	overlooked := gen.Overlooked(bundle)
	switch {
	case len(bundle) == 0:
		v.find(BundleMissing, e.object(), remedy, "it has no caBundle, so the API server does not trust Service %s", e.Server)
	case len(e.cas) == 0:
		v.find(BundleMalformed, e.object(), remedy, "its caBundle holds no certificate that can be read%s", because(overlooked))
	case expired == len(e.cas):
		v.find(BundleExpired, e.object(), remedy, "every CA in its caBundle has expired, the last on %s", date(last(e.cas)))
	default:
		if v.report.Mode == Auto {
			// Nothing is taken out by kthena-certgen that it may not have put in.
			remedy = "kubectl edit " + strings.ToLower(e.Kind) + " " + e.Configuration
		}
		if len(unreadable) > 0 {
			v.find(
				BundleOdd, e.object(), remedy, "its caBundle holds %d certificates that cannot be read beside %d that can", len(unreadable), len(e.cas),
			)
		}
		if overlooked != "" {
			v.find(
				BundleOdd, e.object(), remedy, "its caBundle holds more certificates than the %d that the API server reads%s", len(e.cas),
				because(overlooked),
			)
		}
		for _, c := range e.cas {
			if v.now().After(c.NotAfter) {
				v.find(CAExpired, e.object(), remedy, "CA %s in its caBundle expired on %s", short(c), date(c.NotAfter))
			}
		}
		return
	}
	e.broken = true
}

// because is a reason as the end of a sentence, empty when there is none.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// servers are the servers that the entries lead to.
func (v *Verifier) servers(entries []*entry) []*server {
	var found []*server
	byPort := map[string]*server{}
	for _, e := range entries {
		key := fmt.Sprintf("%s:%d", e.Server, e.port)
		if byPort[key] == nil {
			byPort[key] = &server{
				Server:      Server{Name: e.Server, Deployment: e.component, Port: e.port, Endpoints: []Endpoint{}},
				folder:      webhookFolder,
				certificate: e.certificate,
			}
			found = append(found, byPort[key])
		}
		e.server = byPort[key]
		e.server.entries = append(e.server.entries, e)
	}
	return found
}

func hasPrefix(annotations map[string]string, prefix string) bool {
	for key := range annotations {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
