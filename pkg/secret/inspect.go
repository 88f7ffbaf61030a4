package secret

import (
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Inspection is what Ensure would do.
type Inspection struct {
	Outcome Outcome
	// Reason is that of a Result, or of a RefusedError with the Outcome empty.
	Reason Reason
	// Ours says that the Secret may be changed.
	Ours bool
	// Validation is that of the certificate which the Secret holds.
	Validation gen.Validation
	// RenewAt is when a certificate that is good now is due for renewal. It is zero for one that is not ours.
	RenewAt time.Time
}

// Inspect says what Ensure would do about a Secret as it is, nil for one that does not exist, at now. It asks nobody.
func Inspect(s *core.Secret, want Want, now time.Time) Inspection {
	if s == nil {
		return Inspection{Outcome: Created, Reason: ReasonCreated, Ours: true}
	}
	i := Inspection{Ours: s.Labels[LabelManagedBy] == ManagedBy, Validation: gen.Check(bundleOf(s), want.Spec.DNSNames, now)}
	d, refused := decide(s, i.Validation, want, now)
	if refused != nil {
		i.Reason = refused.Reason
		return i
	}
	i.Outcome, i.Reason = d.outcome(), d.reason
	if i.Ours && i.Outcome == Reused {
		i.RenewAt = i.Validation.NotAfter.Add(-want.Spec.RenewBefore(want.RenewBefore))
	}
	return i
}
