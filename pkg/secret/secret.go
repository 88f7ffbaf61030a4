// Package secret keeps the certificate of one server in one Kubernetes Secret: created once however many pods start
// together, reused while it is good, renewed in time, repaired when it is broken, and refused when it is broken and
// somebody else's.
//
// The API server arbitrates; there are no locks and no leader. A missing Secret is created, and whoever meets
// AlreadyExists uses the winner's. A change carries the resourceVersion that it was decided on, and whoever meets a
// conflict decides again on what is there now.
//
// A new certificate is written together with every CA of the one before that has not expired, because servers go on with what
// they have loaded. The API's limit for the size of a Secret is the only one: where it leaves no room for a CA, none is pushed
// out. A certificate that is good then stays, however soon its renewal is due, and otherwise a human must act.
//
// A Secret that is being deleted is not used, however good it is: whoever starts with it would have to start anew soon. It is
// waited for, and when somebody's finalizer holds it longer than DeletionPatience, a human must act.
//
// Several goroutines, and several programs, may keep the same Secret at once. The types but for [Store] and [Client] are values that
// nothing here keeps or changes.
package secret

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Client is what is needed of the API: the Secrets of one namespace, by the methods of client-go's typed client.
type Client interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*core.Secret, error)
	Create(ctx context.Context, secret *core.Secret, opts metav1.CreateOptions) (*core.Secret, error)
	Update(ctx context.Context, secret *core.Secret, opts metav1.UpdateOptions) (*core.Secret, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// Store is one Secret. Its methods leave it as it is, so several goroutines may use one, as far as they may use its Client.
type Store struct {
	Client    Client
	Namespace string
	Name      string
	// Labels are set on the Secret when it is written, besides LabelManagedBy.
	Labels map[string]string
	// Annotations are set on the Secret when it is written, besides the three that say what it holds.
	Annotations map[string]string
	// Version is the value of AnnotationVersion.
	Version string
	// FieldManager is the name that the API server records changes under.
	FieldManager string
	// Now is the clock, nil for time.Now.
	Now func() time.Time
	// Log is where progress and oddities go, nil for nowhere.
	Log *slog.Logger
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Store) log() *slog.Logger { return cmp.Or(s.Log, slog.New(slog.DiscardHandler)) }

// Want says what the Secret must hold.
type Want struct {
	Spec gen.Spec
	// RenewBefore is the remaining life below which the certificate is renewed; see gen.Spec.RenewBefore.
	RenewBefore time.Duration
	// Force renews a certificate of ours that is good, and refuses one of somebody else.
	Force bool
}

// Result is what a Secret holds after Ensure, and how that came about.
type Result struct {
	Outcome Outcome
	// Reason is the outcome with its cause, such as "repaired:dns-names".
	Reason Reason
	// Detail says more about the cause. It is empty when there is none.
	Detail string
	Bundle gen.Bundle
	// Validation is that of Bundle.
	Validation gen.Validation
	// Object is the Secret in the API's terms, as it was last seen.
	Object core.ObjectReference
}

// RefusedError says that the Secret cannot be used and is not ours to change.
type RefusedError struct {
	// Reason begins with "refused:".
	Reason Reason
	Detail string
	// Remedy says what a human has to do.
	Remedy string
	// Object is the Secret in the API's terms.
	Object core.ObjectReference
}

// Error is the refusal as one line.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.Reason, e.Detail, e.Remedy)
}

// DeletionPatience is how long Ensure waits for a Secret that is being deleted. Without a finalizer it is gone at once; those of
// Kubernetes' own controllers take a moment.
const DeletionPatience = 5 * time.Second

// backoff is the pause before the Secret is looked at again, after a race that was lost or while it is being deleted.
var backoff = wait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8, Cap: time.Second}

// Ensure makes the Secret hold a certificate as wanted and returns it. It returns a *RefusedError when a human must
// act, and gives up when ctx ends.
func (s *Store) Ensure(ctx context.Context, want Want) (Result, error) {
	e := &ensurer{Store: s, want: want}
	pauses := backoff
	for {
		res, err := e.attempt(ctx)
		if err == nil {
			return res, nil
		}
		if !passing(err) {
			return Result{}, fmt.Errorf("ensuring secret %s/%s: %w", s.Namespace, s.Name, err)
		}
		select {
		case <-ctx.Done():
			return Result{}, fmt.Errorf("ensuring secret %s/%s: %w; last: %w", s.Namespace, s.Name, context.Cause(ctx), err)
		case <-time.After(pauses.Step()):
		}
	}
}

// errTerminating says that the Secret is being deleted and may be gone in a moment.
var errTerminating = errors.New("it is being deleted")

// passing reports whether err says that the Secret is about to be another one: it is being deleted, or somebody else changed it
// first. What it is then decides anew. (A Secret that is gone is a lost race only where it was there before; see replace.)
func passing(err error) bool {
	return errors.Is(err, errTerminating) || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err)
}

// ensurer is the state of one Ensure.
type ensurer struct {
	*Store
	want Want

	// fresh is what this run has generated, nil before it had to. It is kept over lost races, so that one run makes
	// keys once.
	fresh *gen.Bundle
	// tried is the decision that led to the last write. It is what happened when the Secret turns out to hold fresh: the
	// write went through and its answer got lost.
	tried decision
	// removed is what is to be in the Secret that this run has deleted, nil when it has not.
	removed *gen.Bundle
	// terminatingSince is when this run first saw the Secret in deletion, zero before.
	terminatingSince time.Time
}

// attempt reads the Secret and acts on it once.
func (e *ensurer) attempt(ctx context.Context) (Result, error) {
	current, err := e.Client.Get(ctx, e.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && e.removed != nil:
		return e.create(ctx, e.tried, e.removed)
	case apierrors.IsNotFound(err):
		return e.create(ctx, decision{reason: ReasonCreated}, nil)
	case err != nil:
		return Result{}, err
	case current.DeletionTimestamp != nil:
		return Result{}, e.terminating(current)
	}
	b := bundleOf(current)
	checked := gen.Check(b, e.want.Spec.DNSNames, e.now())
	if e.fresh != nil && bytes.Equal(b.Key, e.fresh.Key) && checked.OK() {
		return e.result(current, e.tried, b, checked), nil
	}
	d, refused := decide(current, checked, e.want, e.now())
	if refused != nil {
		refused.Object = reference(current)
		return Result{}, refused
	}
	for _, w := range checked.Warnings {
		e.log().Warn("stored certificate is odd", "secret", e.id(), "warning", w)
	}
	switch {
	case d.outcome() == Reused:
		if due := e.want.Spec.RenewBefore(e.want.RenewBefore); checked.NotAfter.Sub(e.now()) < due {
			e.log().Warn("certificate of somebody else ends soon: replace it in time", "secret", e.id(), "not-after", checked.NotAfter)
		}
		return e.result(current, d, b, checked), nil
	case d.keep:
		return e.replace(ctx, current, d, b)
	}
	if b, err = e.material(checked); err != nil {
		return Result{}, err
	}
	if sizeOf(b) <= core.MaxSecretSize {
		return e.replace(ctx, current, d, b)
	}
	detail := fmt.Sprintf("%s is due, and ca.crt has no room for a new CA beside the %d that have not expired: a Secret holds %d bytes",
		d.reason, len(checked.CAs), core.MaxSecretSize)
	if d.reason == ReasonExpiring {
		e.log().Warn("keeping the certificate", "secret", e.id(), "detail", detail)
		return e.result(current, decision{reason: ReasonReused, detail: detail}, bundleOf(current), checked), nil
	}
	return Result{}, &RefusedError{Reason: ReasonFull, Detail: detail, Remedy: remake(current), Object: reference(current)}
}

// sizeOf is what the API counts of a Secret that holds b.
func sizeOf(b gen.Bundle) int { return len(b.CA) + len(b.Cert) + len(b.Key) }

// terminating is errTerminating, and a refusal when the Secret has been waited for long enough.
func (e *ensurer) terminating(s *core.Secret) error {
	if e.terminatingSince.IsZero() {
		e.terminatingSince = time.Now()
		e.log().Info("waiting for the deletion of the secret to end", "secret", e.id(), "finalizers", s.Finalizers)
	}
	if time.Since(e.terminatingSince) < DeletionPatience {
		return errTerminating
	}
	return &RefusedError{
		Reason: ReasonTerminating,
		Detail: fmt.Sprintf("the Secret is being deleted since %s, and its finalizers %s hold it",
			s.DeletionTimestamp.UTC().Format(time.RFC3339), strings.Join(s.Finalizers, ", ")),
		Remedy: fmt.Sprintf("let those who have set them finish, or remove them by: kubectl patch secret --namespace %s %s --type merge "+
			`--patch '{"metadata":{"finalizers":null}}'`, s.Namespace, s.Name),
		Object: reference(s),
	}
}

func (e *ensurer) id() string { return e.Namespace + "/" + e.Name }

// result is what s holds after d.
func (*ensurer) result(s *core.Secret, d decision, b gen.Bundle, v gen.Validation) Result {
	return Result{Outcome: d.outcome(), Reason: d.reason, Detail: d.detail, Bundle: b, Validation: v, Object: reference(s)}
}

func reference(s *core.Secret) core.ObjectReference {
	return core.ObjectReference{
		APIVersion: core.GroupVersion.String(), Kind: "Secret",
		Namespace: s.Namespace, Name: s.Name, UID: s.UID, ResourceVersion: s.ResourceVersion,
	}
}

func bundleOf(s *core.Secret) gen.Bundle {
	return gen.Bundle{CA: s.Data[KeyCA], Cert: s.Data[core.TLSCertKey], Key: s.Data[core.TLSPrivateKeyKey]}
}
