// Package bootstrap is the one pass that gives a webhook server its certificate: ensure the Secret, make the webhook
// configurations trust its CA set, write the files. The order is what makes it safe: a certificate reaches a server
// only after its CA is in every entry, so no connection ever meets a certificate that is not trusted yet.
//
// A pass is idempotent. Where everything is in place it reads each object once and writes nothing, so it may be run
// again at any time, by an init container, an operator or a resident process.
package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// Pass is what one pass works on. One goroutine at a time may Run it. It asks the API by several goroutines at once, so what its Secret,
// Configurations and Events share must bear that, as client-go's clients do.
type Pass struct {
	Secret *secret.Store
	Want   secret.Want
	// Configurations are the webhook configurations whose entries must trust the Secret's CA set.
	Configurations []*webhook.Configuration
	// Dir is the existing folder for tls.crt, tls.key and ca.crt (see certdir.Check). Empty: no files are written.
	Dir string
	// Events are those of the Secret's namespace; nil: none is recorded.
	Events Events
	// Now is the clock, nil for time.Now.
	Now func() time.Time
	// Log is where progress and oddities go, nil for nowhere.
	Log *slog.Logger
}

func (p *Pass) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p *Pass) log() *slog.Logger { return cmp.Or(p.Log, slog.New(slog.DiscardHandler)) }

// Summary is what a pass did. Its JSON form is the line that the program ends with.
type Summary struct {
	// Secret is namespace/name.
	Secret  string `json:"secret"`
	Outcome string `json:"outcome"`
	// Reason is the outcome with its cause; see secret.Result.
	Reason string `json:"reason"`
	// CAFingerprint is that of the CA of the set that the certificate leads to.
	CAFingerprint string `json:"caFingerprint,omitempty"`
	// CAs is the number of certificates in the CA set.
	CAs int `json:"cas,omitempty"`
	// NotAfter is when the certificate ends, RFC 3339.
	NotAfter              *time.Time       `json:"notAfter,omitempty"`
	WebhookConfigurations []webhook.Result `json:"webhookConfigurations"`
	// Files is "written", "unchanged", or "none" where no folder was given.
	Files string `json:"files"`
}

// Run makes the pass and returns what it did. On an error the summary holds what was done before it.
func (p *Pass) Run(ctx context.Context) (Summary, error) {
	sum := Summary{
		Secret:                p.Secret.Namespace + "/" + p.Secret.Name,
		WebhookConfigurations: make([]webhook.Result, len(p.Configurations)),
		Files:                 "none",
	}
	for i, c := range p.Configurations {
		sum.WebhookConfigurations[i] = webhook.Result{Kind: c.Kind, Name: c.Name}
	}

	// The configurations are read while the Secret is, and waited for if need be; they are changed only when the CA set
	// is known.
	group, gctx := errgroup.WithContext(ctx)
	known := make(chan struct{})
	var stored secret.Result
	// An Event is recorded while the rest goes on, also after a refusal has ended that.
	var events sync.WaitGroup
	defer events.Wait()
	group.Go(func() (err error) {
		if stored, err = p.Secret.Ensure(gctx, p.Want); err == nil {
			close(known)
		}
		if e := newEvent(stored, err, p.now()); e != nil && p.Events != nil {
			events.Go(func() { p.record(ctx, e) })
		}
		return err
	})
	for i, c := range p.Configurations {
		group.Go(func() error {
			if err := c.Load(gctx); err != nil {
				return err
			}
			select {
			case <-known:
			case <-gctx.Done():
				return context.Cause(gctx)
			}
			res, err := c.Trust(gctx, stored.Validation.CAs)
			if err == nil {
				sum.WebhookConfigurations[i] = res
			}
			return err
		})
	}
	err := group.Wait()
	sum.describe(stored)
	var refused *webhook.RefusedError
	if errors.As(err, &refused) && p.Events != nil {
		events.Go(func() { p.record(ctx, newRefusal(stored.Object, refused, p.now())) })
	}
	if err != nil {
		return sum, err
	}
	if p.Dir == "" {
		return sum, nil
	}
	changed, err := certdir.Write(p.Dir, map[string][]byte{
		core.TLSCertKey:       stored.Bundle.Cert,
		core.TLSPrivateKeyKey: stored.Bundle.Key,
		secret.KeyCA:          stored.Validation.CAs.PEM(),
	}, p.now())
	if err != nil {
		return sum, fmt.Errorf("writing the files to %s: %w", p.Dir, err)
	}
	if sum.Files = "unchanged"; changed {
		sum.Files = "written"
	}
	return sum, nil
}

// Refused returns the reason code with which err says that a human must act, empty when it does not say so.
func Refused(err error) string {
	var ofSecret *secret.RefusedError
	var ofConfiguration *webhook.RefusedError
	switch {
	case errors.As(err, &ofSecret):
		return string(ofSecret.Reason)
	case errors.As(err, &ofConfiguration):
		return ofConfiguration.Reason
	}
	return ""
}

func (s *Summary) describe(stored secret.Result) {
	s.Outcome, s.Reason = string(stored.Outcome), string(stored.Reason)
	if stored.Outcome == "" {
		return
	}
	s.CAs = len(stored.Validation.CAs)
	s.CAFingerprint = gen.Fingerprint(stored.Validation.Root)
	s.NotAfter = &stored.Validation.NotAfter
}
