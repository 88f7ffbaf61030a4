package controller

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

const (
	// reminder is after how long an Event about what lasts is recorded again; the API server forgets Events after an hour.
	reminder = 12 * time.Hour
	// eventTimeout is how long one Event may take. Nobody waits for it but the end of the process, which has 30 s.
	eventTimeout = 10 * time.Second
	// healQuiet is for how long heals are counted and not told one by one.
	healQuiet = 10 * time.Minute
)

// told is a finding that lasts.
type told struct {
	since, event time.Time
	logged       bool
}

// teller logs what changes and records it as Events. It is safe for concurrent use.
type teller struct {
	namespace string
	events    bootstrap.Events
	log       *slog.Logger
	now       func() time.Time
	recording sync.WaitGroup

	mu       sync.Mutex
	lasting  map[string]map[finding]*told // by component
	heals    map[string]int               // by Secret, since the last Event
	healTold map[string]time.Time
}

func newTeller(namespace string, events bootstrap.Events, log *slog.Logger, now func() time.Time) *teller {
	return &teller{
		namespace: namespace, events: events, log: log, now: now,
		lasting: map[string]map[finding]*told{}, heals: map[string]int{}, healTold: map[string]time.Time{},
	}
}

// findings tells what is new among the findings of a component and what is over. It returns when to be asked again, 0 for not at
// all.
func (t *teller) findings(ctx context.Context, component string, now []finding, uid func(secret string) string) (again time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now()
	before, lasting := t.lasting[component], map[finding]*told{}
	for _, f := range now {
		// That the message changes, with a count of pods or days, makes no other finding.
		key := finding{code: f.code, service: f.service, secret: f.secret}
		state := lasting[key]
		if state == nil {
			if state = before[key]; state == nil {
				state = &told{since: at}
			}
			lasting[key] = state
		}
		if wait := f.after - at.Sub(state.since); wait > 0 {
			if again == 0 || wait < again {
				again = wait
			}
			continue
		}
		if !state.logged {
			state.logged = true
			t.log.Warn("finding", "component", component, "code", f.code, "message", f.message)
		}
		if at.Sub(state.event) >= reminder {
			state.event = at
			t.event(ctx, t.secret(f.secret, uid(f.secret)), core.EventTypeWarning, camel(string(f.code)), f.message)
		}
	}
	for key, state := range before {
		if lasting[key] == nil && state.logged {
			t.log.Info(
				"finding is over", "component", component, "code", key.code, "service", key.service, "lasted",
				at.Sub(state.since).Round(time.Second).String(),
			)
		}
	}
	t.lasting[component] = lasting
	return again
}

// healed tells that CAs were put back into webhook entries. Somebody who takes them out again and again is told of once in a
// while, with their number.
func (t *teller) healed(ctx context.Context, secret, uid, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log.Info("healed", "secret", t.namespace+"/"+secret, "what", what)
	t.heals[secret]++
	if t.now().Sub(t.healTold[secret]) < healQuiet {
		return
	}
	message := what
	if n := t.heals[secret]; n > 1 {
		message = fmt.Sprintf("%s; %d times since the last such Event: something takes it out again and again", what, n)
	}
	t.heals[secret], t.healTold[secret] = 0, t.now()
	t.event(ctx, t.secret(secret, uid), core.EventTypeWarning, "Healed", message)
}

// secret is a Secret in the API's terms.
func (t *teller) secret(name, uid string) core.ObjectReference {
	return reference(resource.Secrets, t.namespace, name, uid)
}

func reference(r resource.Resource, namespace, name, uid string) core.ObjectReference {
	return core.ObjectReference{APIVersion: r.APIVersion(), Kind: r.Kind, Namespace: namespace, Name: name, UID: types.UID(uid)}
}

// event records an Event, or logs that it could not be. Nobody waits for it.
func (t *teller) event(ctx context.Context, about core.ObjectReference, kind, reason, message string) {
	// What it tells has happened, even if what it was part of ends now.
	ctx = context.WithoutCancel(ctx)
	t.recording.Go(func() { t.record(ctx, bootstrap.NewEvent(about, kind, reason, message, t.now())) })
}

func (t *teller) record(ctx context.Context, e *core.Event) {
	ctx, cancel := context.WithTimeoutCause(ctx, eventTimeout, fmt.Errorf("timed out after %s", eventTimeout))
	defer cancel()
	if _, err := t.events.Create(ctx, e, metav1.CreateOptions{}); err != nil {
		t.log.Warn("event is not recorded", "reason", e.Reason, "message", e.Message, "error", err)
	}
}

// camel is a code in the form of an Event's reason (API conventions, Events).
func camel(code string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(code, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
