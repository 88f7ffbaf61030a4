package secret

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Outcome is what became of a Secret.
type Outcome string

// The outcomes of Ensure.
const (
	Created  Outcome = "created"
	Reused   Outcome = "reused"
	Renewed  Outcome = "renewed"
	Repaired Outcome = "repaired"
)

// Reason is an outcome, or "refused", and after a colon its cause. The values are stable: users see them in logs, Events and the
// program's output, and each has a line in the manual.
type Reason string

// The reasons of a Result and of an Inspection.
const (
	ReasonCreated   Reason = "created"             // there was no Secret
	ReasonReused    Reason = "reused"              // its certificate is good, whoever made it
	ReasonExpiring  Reason = "renewed:expiring"    // less life is left than Want.RenewBefore
	ReasonForced    Reason = "renewed:forced"      // Want.Force asked for it
	ReasonKeys      Reason = "repaired:keys"       // the Secret held more than the certificate, which stays
	ReasonWrongType Reason = "repaired:wrong-type" // the Secret was not of type kubernetes.io/tls; its certificate stays
)

// The reasons of a RefusedError. An Inspection, which asks nobody, has of these the first alone.
const (
	ReasonForeignForced Reason = "refused:foreign-forced" // Want.Force asked to renew what is not ours
	ReasonImmutable     Reason = "refused:immutable"      // the Secret has to be deleted for it, which is forbidden
	ReasonFull          Reason = "refused:secret-full"    // the Secret has no room for another CA
	ReasonTerminating   Reason = "refused:terminating"    // a finalizer holds the deleted Secret
)

// What a reason begins with that goes on with the gen.FaultCode of what is wrong with the certificate.
const (
	ReasonRepairedFor Reason = "repaired:"        // ours: there is a new one
	ReasonForeignFor  Reason = "refused:foreign-" // somebody else's: it is left alone
)

// decision is what to do about a stored Secret.
type decision struct {
	reason Reason
	detail string
	// keep says that the certificate stays and only what is around it changes.
	keep bool
}

// outcome is what the reason begins with.
func (d decision) outcome() Outcome {
	outcome, _, _ := strings.Cut(string(d.reason), ":")
	return Outcome(outcome)
}

// decide looks at a stored Secret and what its certificate is worth. Presence is not validity, and what is not ours is used or refused
// but never changed.
func decide(s *core.Secret, v gen.Validation, want Want, now time.Time) (decision, *RefusedError) {
	left := v.NotAfter.Sub(now)
	before := want.Spec.RenewBefore(want.RenewBefore)
	switch {
	case s.Labels[LabelManagedBy] != ManagedBy:
		return decideForeign(s, v, want)
	case !v.OK():
		return decision{reason: ReasonRepairedFor + Reason(v.Faults[0].Code), detail: v.Faults[0].Detail}, nil
	case want.Force:
		return decision{reason: ReasonForced, detail: "renewal was asked for"}, nil
	case s.Type != core.SecretTypeTLS:
		return decision{reason: ReasonWrongType, detail: fmt.Sprintf("the Secret is of type %q", s.Type), keep: true}, nil
	case len(s.Data) != 3:
		detail := fmt.Sprintf("the Secret has %d keys besides the certificate's", len(s.Data)-3)
		return decision{reason: ReasonKeys, detail: detail, keep: true}, nil
	case left < before:
		return decision{reason: ReasonExpiring, detail: fmt.Sprintf("%s are left, renewal is due below %s", left.Round(time.Second), before)}, nil
	}
	return decision{reason: ReasonReused}, nil
}

// decideForeign is decide for a Secret that is not ours.
func decideForeign(s *core.Secret, v gen.Validation, want Want) (decision, *RefusedError) {
	refused := &RefusedError{Remedy: remake(s)}
	stranger := fmt.Sprintf("the Secret has no label %s=%s, so it is left alone", LabelManagedBy, ManagedBy)
	switch {
	case !v.OK():
		refused.Reason = ReasonForeignFor + Reason(v.Faults[0].Code)
		refused.Detail = fmt.Sprintf("%s, and its certificate cannot be used: %s", stranger, v.Faults[0])
		refused.Remedy = "repair the Secret, or " + refused.Remedy
	case want.Force:
		refused.Reason = ReasonForeignForced
		refused.Detail = stranger + ", and cannot be renewed"
		refused.Remedy = "replace its certificate yourself, or " + refused.Remedy
	default:
		return decision{reason: ReasonReused}, nil
	}
	return decision{}, refused
}

// remake is the remedy that has a Secret made anew. It takes no trust away: that is in the webhook configurations, too.
func remake(s *core.Secret) string {
	return fmt.Sprintf("have it made anew by: kubectl delete secret --namespace %s %s", s.Namespace, s.Name)
}

// replaceable reports whether the API lets the Secret be updated to what we want: neither the type nor anything of an
// immutable Secret can change (API reference, Secret v1).
func replaceable(s *core.Secret) bool {
	return s.Type == core.SecretTypeTLS && !ptr.Deref(s.Immutable, false)
}
