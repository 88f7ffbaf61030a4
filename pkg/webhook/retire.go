package webhook

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Retire takes the CAs that retired reports out of every entry that trusts set without them. It is the one way in which trust
// shrinks, and the caller has seen that nothing serves a certificate of theirs any more. An entry that trusts nothing of set is
// left alone: it is somebody else's, or about to be made good by Trust. The error satisfies apierrors.IsConflict when somebody
// else has changed the configuration meanwhile.
func (c *Configuration) Retire(ctx context.Context, set gen.CASet, retired func(*x509.Certificate) bool) (Result, error) {
	s, err := c.API.Get(ctx, c.Name)
	if apierrors.IsNotFound(err) {
		return Result{Kind: c.Kind, Name: c.Name}, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("getting %s %s: %w", c.Kind, c.Name, err)
	}
	res := Result{Kind: c.Kind, Name: c.Name, Entries: len(s.Entries)}
	p := patchBody{Metadata: patchMeta{ResourceVersion: s.ResourceVersion}}
	for _, e := range s.Entries {
		live, unreadable := gen.ParseCertificates(e.CABundle)
		var kept gen.CASet
		for _, ca := range live {
			if !retired(ca) || set.Contains(ca) {
				kept = append(kept, ca)
			}
		}
		if len(kept) > 0 && len(kept) < len(live) && kept.ContainsAll(set, c.now()) {
			p.Webhooks = append(p.Webhooks, patchEntry{Name: e.Name, ClientConfig: patchClientConfig{CABundle: kept.PEM(unreadable...)}})
		}
	}
	if len(p.Webhooks) == 0 {
		return res, nil
	}
	// Strings and bytes always marshal.
	body, _ := json.Marshal(p)
	if err := c.API.Patch(ctx, c.Name, body, c.FieldManager); err != nil {
		return Result{}, fmt.Errorf("retiring CAs of %s %s: %w", c.Kind, c.Name, err)
	}
	res.Patched = true
	return res, nil
}
