package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

const (
	// component is who the Events come from.
	component = "kthena-certgen"
	// eventTimeout is how long one Event may take. Nothing waits for it but the end of the pass.
	eventTimeout = time.Second
	// maxEventSubject leaves room for the time in an Event's name, which may have 253 characters (RFC 1123).
	maxEventSubject = 253 - len(".ffffffffffffffff")
)

// Events records Events in one namespace, as the typed client of client-go does.
type Events interface {
	Create(ctx context.Context, event *core.Event, opts metav1.CreateOptions) (*core.Event, error)
}

// record records e on a best-effort basis: a pass is neither longer nor worse for an Event that cannot be recorded.
func (p *Pass) record(ctx context.Context, e *core.Event) {
	ctx, cancel := context.WithTimeoutCause(ctx, eventTimeout, fmt.Errorf("timed out after %s", eventTimeout))
	defer cancel()
	if _, err := p.Events.Create(ctx, e, metav1.CreateOptions{}); err != nil {
		p.log().Warn("event is not recorded", "reason", e.Reason, "message", e.Message, "error", err)
	}
}

// newEvent is what is to be told about the Secret to whoever looks at its Events: that it was written, or that it was
// refused. It is nil when it was reused, or when err is of another kind, which the API server may not even have seen.
func newEvent(stored secret.Result, err error, now time.Time) *core.Event {
	const normal, warning = core.EventTypeNormal, core.EventTypeWarning
	var refused *secret.RefusedError
	switch {
	case errors.As(err, &refused):
		return newRefusal(refused.Object, refused, now)
	case err != nil:
		return nil
	case stored.Outcome == secret.Created:
		message := fmt.Sprintf("%s: the new certificate ends on %s", stored.Reason, date(stored))
		return NewEvent(stored.Object, normal, "Created", message, now)
	case stored.Outcome == secret.Renewed:
		message := fmt.Sprintf("%s: %s; the new certificate ends on %s", stored.Reason, stored.Detail, date(stored))
		return NewEvent(stored.Object, normal, "Renewed", message, now)
	case stored.Outcome == secret.Repaired:
		// Something has broken it, and somebody should know.
		message := fmt.Sprintf("%s: %s; the certificate ends on %s", stored.Reason, stored.Detail, date(stored))
		return NewEvent(stored.Object, warning, "Repaired", message, now)
	default:
		return nil
	}
}

// newRefusal tells of a refusal at the Secret, whether it is about the Secret or about what its CA is to be put into: that is in no
// namespace, and the right to record Events ends with this one.
func newRefusal(s core.ObjectReference, refused error, now time.Time) *core.Event {
	return NewEvent(s, core.EventTypeWarning, "Refused", refused.Error(), now)
}

// NewEvent is an Event of this program about an object, of a type of the API's and with a reason in one word.
func NewEvent(about core.ObjectReference, kind, reason, message string, now time.Time) *core.Event {
	subject := strings.TrimRight(about.Name[:min(len(about.Name), maxEventSubject)], "-.")
	return &core.Event{
		// Kubernetes' own components name Events so.
		ObjectMeta:          metav1.ObjectMeta{Namespace: about.Namespace, Name: fmt.Sprintf("%s.%x", subject, now.UnixNano())},
		Type:                kind,
		Reason:              reason,
		Message:             message,
		FirstTimestamp:      metav1.NewTime(now),
		LastTimestamp:       metav1.NewTime(now),
		Count:               1,
		Source:              core.EventSource{Component: component},
		ReportingController: component,
		InvolvedObject:      about,
	}
}

func date(stored secret.Result) string { return stored.Validation.NotAfter.UTC().Format(time.RFC3339) }
