package controller

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// records is a log handler that keeps the messages.
type records struct {
	mu  sync.Mutex
	all []string
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *records) WithGroup(string) slog.Handler            { return r }
func (r *records) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, record.Message)
	return nil
}

func (r *records) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.all...)
}

// recorder keeps the Events that it is sent.
type recorder struct {
	mu  sync.Mutex
	all []*core.Event
}

func (r *recorder) Create(_ context.Context, e *core.Event, _ metav1.CreateOptions) (*core.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
	return e, nil
}

// telling is a teller whose clock stands where the test puts it.
type telling struct {
	*teller
	log    *records
	events *recorder
	at     time.Time
}

func newTelling() *telling {
	t := &telling{log: &records{}, events: &recorder{}, at: now}
	t.teller = newTeller("ns", t.events, slog.New(t.log), func() time.Time { return t.at })
	return t
}

// told are the reasons of the Events so far.
func (t *telling) told() (reasons []string) {
	t.recording.Wait()
	for _, e := range t.events.all {
		reasons = append(reasons, e.Reason)
	}
	return reasons
}

func noUID(string) string { return "" }

func TestAFindingIsToldWhenItLastsAndOnlyOnce(t *testing.T) {
	t.Parallel()
	k := newTelling()
	f := finding{code: verify.SecretUntrusted, service: "hook", secret: "certs", message: "no CA", after: 3 * time.Second}
	assert.Equal(t, 3*time.Second, k.findings(t.Context(), "server", []finding{f}, noUID), "it asks to be asked again")
	assert.Empty(t, k.told())
	k.at = now.Add(3 * time.Second)
	assert.Zero(t, k.findings(t.Context(), "server", []finding{f}, noUID))
	f.message = "no CA, in other words"
	k.at = now.Add(time.Hour)
	k.findings(t.Context(), "server", []finding{f}, noUID)
	require.Equal(t, []string{"SecretUntrusted"}, k.told())
	e := k.events.all[0]
	assert.Equal(t, "no CA", e.Message)
	assert.Equal(t, core.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: "ns", Name: "certs"}, e.InvolvedObject)
	assert.Equal(t, "Warning", e.Type)

	k.at = now.Add(reminder + 4*time.Second)
	k.findings(t.Context(), "server", []finding{f}, noUID)
	assert.Len(t, k.told(), 2, "an Event is forgotten after a while, so there is another one")
	k.findings(t.Context(), "server", nil, noUID)
	assert.Equal(t, []string{"finding", "finding is over"}, k.log.messages())

	k.findings(t.Context(), "server", []finding{f}, noUID)
	assert.Len(t, k.told(), 2, "and a new one has to last again")
}

func TestWhoTakesOutTheCAAgainAndAgainIsToldOfOnceInAWhile(t *testing.T) {
	t.Parallel()
	k := newTelling()
	for range 100 {
		k.at = k.at.Add(time.Second)
		k.healed(t.Context(), "certs", "uid", "the CA was missing")
	}
	require.Equal(t, []string{"Healed"}, k.told())
	assert.Equal(t, "the CA was missing", k.events.all[0].Message)
	k.at = k.at.Add(healQuiet)
	k.healed(t.Context(), "certs", "uid", "the CA was missing")
	k.recording.Wait()
	require.Len(t, k.events.all, 2)
	assert.Equal(t, "the CA was missing; 100 times since the last such Event: something takes it out again and again", k.events.all[1].Message)
	assert.Len(t, k.log.messages(), 101)
}
