// Package webhook makes the API server trust a CA set in the entries of one webhook configuration.
//
// # Why concurrent writers do no harm
//
// The caBundle of an entry is treated as a set of certificates that only grows; [Configuration.Retire] is the one exception. A
// writer reads the configuration and, where an entry lacks one of the writer's CAs, writes the union of what it read and its
// own CAs. The write carries the resourceVersion of the read, so the API server takes it only when nothing has changed in
// between; after a conflict the writer reads again. A write therefore never removes what another writer has added (expired CAs
// aside, which no client trusts), and after any interleaving every entry that was not replaced by somebody else trusts the CAs
// of all writers that have finished. A server that starts to serve a certificate only after its writer has finished is trusted
// from its first connection on.
//
// An entry that calls a URL and has no bundle is not touched: it trusts the roots of the API server's system, until it has a bundle.
//
// The set is not limited in number. Its limit is that of what can be stored: the bundles of a configuration may have MaxBundles
// bytes in all. A writer whose CAs do not fit in beside those that are there, less the expired ones, writes nothing and ends with
// a [RefusedError]; it pushes nobody out. So writers for whom there is not room enough do not undo each other: who comes first is
// trusted and stays so, the others are refused, and again each time that they try.
//
// Somebody else, such as Helm on a switch of modes, may remove the field. A writer that has read the entry before does not
// learn of it, unless it writes and meets the conflict; the next writer puts its CAs back.
//
// The tests of package bootstrap walk every interleaving of several writers and a removal, and assert this.
//
// Writes are strategic merge patches of single caBundle fields, not server-side apply: two appliers that share an entry
// of the list would keep the chart from ever dropping that entry.
package webhook

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Kinds of configuration.
const (
	Mutating   = "MutatingWebhookConfiguration"
	Validating = "ValidatingWebhookConfiguration"
)

// appearance is how often a configuration that does not exist yet is looked for: Helm applies webhook configurations
// after the Deployments whose pods wait for them. (A watch of the one name, by a field selector, would take the right to watch
// and an open connection for what is over in a moment.)
var appearance = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 9, Cap: 2 * time.Second}

// contention is the pause before a configuration that somebody else has changed is read again.
var contention = wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8, Cap: time.Second}

// AnnotationPatience is how long a configuration is waited for that exists and lacks an annotation. Between Helm's change of a
// Deployment and its change of the webhook configurations lies much less. A pod of the revision before, which starts when an
// upgrade has stopped half-way, waits in vain and must get its turn.
const AnnotationPatience = 30 * time.Second

// Configuration is one webhook configuration. It remembers what Load has read, and since when it waits, so it is for one goroutine at a
// time and for one pass. Several Configurations of one name, in whatever programs, may be used at once.
type Configuration struct {
	API  API
	Kind string
	Name string
	// Annotations are what the configuration should have before it is touched; they are waited for, at most AnnotationPatience.
	// The chart sets one in the same request in which it changes the entries, so that no entry is added, and no bundle of
	// another mode removed, after the CA was put in.
	Annotations map[string]string
	// Patience is how long the configuration is waited for while it does not exist, 0 for as long as the context lasts. Then the pass goes
	// on without it: whoever sets this says that somebody else gives it the CA once it is there.
	Patience time.Duration
	// FieldManager is the name that the API server records changes under.
	FieldManager string
	// Now is the clock, nil for time.Now.
	Now func() time.Time
	// Log is where progress and oddities go, nil for nowhere.
	Log *slog.Logger

	// loaded is what Load has read and Trust has not used yet.
	loaded *Snapshot
	// lackingSince is when an annotation was first missed, and absentSince when the configuration was, zero before.
	lackingSince, absentSince time.Time
}

func (c *Configuration) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Configuration) log() *slog.Logger { return cmp.Or(c.Log, slog.New(slog.DiscardHandler)) }

// Result is what Trust found and did.
type Result struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Entries is the number of webhooks in the configuration, whatever they call.
	Entries int `json:"entries"`
	// Patched says whether at least one of them lacked a CA and was changed.
	Patched bool `json:"patched"`
}

// Load reads the configuration and waits until it exists, and a while for its annotations, or ctx ends. To call it is
// optional: it lets a caller read ahead while the CA set is not known yet. One that does not appear within Patience counts as one
// without entries.
func (c *Configuration) Load(ctx context.Context) error {
	waiting := false
	backoff := appearance
	for {
		s, err := c.API.Get(ctx, c.Name)
		missing := "does not exist"
		switch {
		case err == nil:
			if missing = c.lacking(s); missing == "" || c.outOfPatience(missing) {
				c.loaded = s
				return nil
			}
		case !apierrors.IsNotFound(err):
			return fmt.Errorf("getting %s %s: %w", c.Kind, c.Name, err)
		case c.goesOnWithout():
			c.loaded = &Snapshot{}
			return nil
		}
		if !waiting {
			c.log().Info("waiting for webhook configuration", "kind", c.Kind, "name", c.Name, "reason", missing)
			waiting = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s %s, which %s: %w", c.Kind, c.Name, missing, context.Cause(ctx))
		case <-time.After(backoff.Step()):
		}
	}
}

// goesOnWithout reports whether the configuration has been waited for long enough, over all calls of Load.
func (c *Configuration) goesOnWithout() bool {
	if c.absentSince.IsZero() {
		c.absentSince = time.Now()
	}
	if c.Patience == 0 || time.Since(c.absentSince) < c.Patience {
		return false
	}
	c.log().Warn("going on without webhook configuration, which does not exist: the controller gives it the CA once it is there",
		"kind", c.Kind, "name", c.Name)
	return true
}

// outOfPatience reports whether the annotations have been waited for long enough, over all calls of Load.
func (c *Configuration) outOfPatience(missing string) bool {
	if c.lackingSince.IsZero() {
		c.lackingSince = time.Now()
	}
	if time.Since(c.lackingSince) < AnnotationPatience {
		return false
	}
	c.log().Warn("going on with webhook configuration as it is: an upgrade may have stopped half-way",
		"kind", c.Kind, "name", c.Name, "reason", missing)
	return true
}

// lacking says which of the annotations s lacks, empty when it has them all.
func (c *Configuration) lacking(s *Snapshot) string {
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		if s.Annotations[key] != c.Annotations[key] {
			return fmt.Sprintf("lacks the annotation %s=%s", key, c.Annotations[key])
		}
	}
	return ""
}

// Trust makes every entry of the configuration trust the CAs of set that have not expired, but for those that call a URL and have no
// bundle: the API server verifies these by the roots of its own system, whose place a bundle would take. It writes nothing when they all
// do, and returns a *RefusedError when there is no room.
func (c *Configuration) Trust(ctx context.Context, set gen.CASet) (Result, error) {
	pauses := contention
	for {
		if c.loaded == nil {
			if err := c.Load(ctx); err != nil {
				return Result{}, err
			}
		}
		s := c.loaded
		c.loaded = nil
		res := Result{Kind: c.Kind, Name: c.Name, Entries: len(s.Entries)}
		patch, err := c.patch(s, set)
		if err != nil {
			return Result{}, fmt.Errorf("patching %s %s: %w", c.Kind, c.Name, err)
		}
		if patch == nil {
			return res, nil
		}
		err = c.API.Patch(ctx, c.Name, patch, c.FieldManager)
		switch {
		case err == nil:
			res.Patched = true
			return res, nil
		case apierrors.IsConflict(err), apierrors.IsNotFound(err):
			// Somebody else was faster. What they left decides what is still to do.
			select {
			case <-ctx.Done():
				return Result{}, fmt.Errorf("patching %s %s: %w; last: %w", c.Kind, c.Name, context.Cause(ctx), err)
			case <-time.After(pauses.Step()):
			}
		default:
			return Result{}, fmt.Errorf("patching %s %s: %w", c.Kind, c.Name, err)
		}
	}
}
