package webhook

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// MaxBundles is how many bytes the bundles of one configuration may have in all. etcd takes requests of at most 1.5 MiB (its option
// --max-request-bytes), and one holds a whole configuration; a third is left for what is not a bundle.
const MaxBundles = 1 << 20

// ReasonFull is the Reason of every RefusedError. It is stable, and to users one more beside those of package secret.
const ReasonFull = "refused:bundle-full"

// RefusedError says that a configuration cannot be made to trust a CA without taking trust away from others.
type RefusedError struct {
	// Reason is ReasonFull.
	Reason string
	Detail string
	// Remedy says what a human has to do.
	Remedy string
}

// Error is the refusal as one line.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.Reason, e.Detail, e.Remedy)
}

// The parts of a webhook configuration that a patch names.
type (
	patchBody struct {
		Metadata patchMeta    `json:"metadata"`
		Webhooks []patchEntry `json:"webhooks"`
	}
	patchMeta struct {
		ResourceVersion string `json:"resourceVersion"`
	}
	patchEntry struct {
		Name         string            `json:"name"`
		ClientConfig patchClientConfig `json:"clientConfig"`
	}
	patchClientConfig struct {
		CABundle []byte `json:"caBundle"`
	}
)

// patch is the strategic merge patch that makes s trust set, nil when it already does. Its error is a *RefusedError.
func (c *Configuration) patch(s *Snapshot, set gen.CASet) ([]byte, error) {
	now := c.now()
	p := patchBody{Metadata: patchMeta{ResourceVersion: s.ResourceVersion}}
	size := 0
	for _, e := range s.Entries {
		if e.byRoots() {
			continue
		}
		live, unreadable := gen.ParseCertificates(e.CABundle)
		if live.ContainsAll(set, now) {
			size += len(e.CABundle)
			continue
		}
		// What this program cannot read, an API server that was built with another Go may trust.
		bundle := set.Merge(live, now).PEM(unreadable...)
		size += len(bundle)
		if len(unreadable) > 0 {
			c.log().Warn("keeping what is no certificate in the CA bundle",
				"kind", c.Kind, "name", c.Name, "entry", e.Name, "malformed", len(unreadable))
		}
		p.Webhooks = append(p.Webhooks, patchEntry{Name: e.Name, ClientConfig: patchClientConfig{CABundle: bundle}})
	}
	if len(p.Webhooks) == 0 {
		return nil, nil
	}
	if size > MaxBundles {
		return nil, &RefusedError{
			Reason: ReasonFull,
			Detail: fmt.Sprintf("with the CAs that are to be added its %d bundles would have %d bytes, and at most %d are stored",
				len(s.Entries), size, MaxBundles),
			Remedy: fmt.Sprintf("remove the CAs that nothing serves any more by: kubectl edit %s %s", strings.ToLower(c.Kind), c.Name),
		}
	}
	// Strings and bytes always marshal.
	body, _ := json.Marshal(p)
	return body, nil
}
