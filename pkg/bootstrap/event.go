package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// Events records Events. The typed client of client-go for the Events of one namespace is one.
type Events interface {
	Create(ctx context.Context, event *corev1.Event, opts metav1.CreateOptions) (*corev1.Event, error)
}

// record records e on a best-effort basis: a pass is neither longer nor worse for an Event that cannot be recorded.
func (p *Pass) record(ctx context.Context, e *corev1.Event) {
	ctx, cancel := context.WithTimeoutCause(ctx, eventTimeout, fmt.Errorf("timed out after %s", eventTimeout))
	defer cancel()
	if _, err := p.Events.Create(ctx, e, metav1.CreateOptions{}); err != nil {
		p.Log.Warn("event is not recorded", "reason", e.Reason, "message", e.Message, "error", err)
	}
}

// newEvent is what is to be told about the Secret to whoever looks at its Events: that it was written, or that it was
// refused. It is nil when it was reused, or when err is of another kind, which the API server may not even have seen.
func newEvent(stored secret.Result, err error, now time.Time) *corev1.Event {
	e := &corev1.Event{
		Type:                corev1.EventTypeNormal,
		FirstTimestamp:      metav1.NewTime(now),
		LastTimestamp:       metav1.NewTime(now),
		Count:               1,
		Source:              corev1.EventSource{Component: component},
		ReportingController: component,
		InvolvedObject:      stored.Object,
	}
	var refused *secret.RefusedError
	switch {
	case errors.As(err, &refused):
		e.Type, e.Reason, e.Message, e.InvolvedObject = corev1.EventTypeWarning, "Refused", refused.Error(), refused.Object
	case err != nil:
		return nil
	case stored.Outcome == secret.Created:
		e.Reason, e.Message = "Created", fmt.Sprintf("%s: the new certificate ends on %s", stored.Reason, date(stored))
	case stored.Outcome == secret.Renewed:
		e.Reason, e.Message = "Renewed", fmt.Sprintf("%s: %s; the new certificate ends on %s", stored.Reason, stored.Detail, date(stored))
	case stored.Outcome == secret.Repaired:
		// Something has broken it, and somebody should know.
		e.Type, e.Reason, e.Message = corev1.EventTypeWarning, "Repaired", fmt.Sprintf("%s: %s; the certificate ends on %s", stored.Reason, stored.Detail, date(stored))
	default:
		return nil
	}
	subject := e.InvolvedObject.Name
	subject = strings.TrimRight(subject[:min(len(subject), maxEventSubject)], "-.")
	// Kubernetes' own components name Events so.
	e.Namespace, e.Name = e.InvolvedObject.Namespace, fmt.Sprintf("%s.%x", subject, now.UnixNano())
	return e
}

func date(stored secret.Result) string { return stored.Report.NotAfter.UTC().Format(time.RFC3339) }
