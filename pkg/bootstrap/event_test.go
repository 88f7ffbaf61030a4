package bootstrap_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// events is an API that calls a function for each Event.
type events func(ctx context.Context, e *core.Event) error

func (f events) Create(ctx context.Context, e *core.Event, _ metav1.CreateOptions) (*core.Event, error) {
	return e, f(ctx, e)
}

func TestAnEventHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPass(newMemory(), free)
		p.Dir = t.TempDir()
		p.Events = events(func(ctx context.Context, _ *core.Event) error {
			time.Sleep(time.Millisecond) // until everything else is done
			synctest.Wait()
			files, err := os.ReadDir(p.Dir)
			assert.NoError(t, err)
			assert.NotEmpty(t, files, "the files do not wait for the Event")
			<-ctx.Done()
			return context.Cause(ctx)
		})
		begun := time.Now()
		_, err := p.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(begun), "the pass gives up on the Event")
	})
}

func TestAnEventTellsWhatBecameOfTheSecret(t *testing.T) {
	t.Parallel()
	good := secretOf(generate(t, now))
	old := secretOf(generate(t, now.Add(time.Hour-spec.Validity)))
	broken := secretOf(generate(t, now))
	broken.Data["tls.key"] = nil
	for name, tc := range map[string]struct {
		stored *core.Secret
		want   []string // type, reason and the beginning of the message
	}{
		"it is made":     {nil, []string{core.EventTypeNormal, "Created", "created"}},
		"it is renewed":  {old, []string{core.EventTypeNormal, "Renewed", "renewed:expiring"}},
		"it is repaired": {broken, []string{core.EventTypeWarning, "Repaired", "repaired:malformed"}},
		"it is reused":   {good, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			m.secret = tc.stored
			p := newPass(m, free)
			var log strings.Builder
			p.Log = slog.New(slog.NewTextHandler(&log, nil))
			var got []string
			p.Events = events(func(_ context.Context, e *core.Event) error {
				reason, _, _ := strings.Cut(e.Message, ": ")
				got = []string{e.Type, e.Reason, reason}
				return nil
			})
			_, err := p.Run(t.Context())
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
			assert.NotContains(t, log.String(), "event is not recorded")
		})
	}
}

func TestAnEventThatIsNotRecordedIsTold(t *testing.T) {
	t.Parallel()
	p := newPass(newMemory(), free)
	var log strings.Builder
	p.Log = slog.New(slog.NewTextHandler(&log, nil))
	p.Events = events(func(context.Context, *core.Event) error { return errors.New("the namespace is full") })
	_, err := p.Run(t.Context())
	require.NoError(t, err)
	assert.Contains(t, log.String(), `level=WARN msg="event is not recorded" reason=Created`)
	assert.Contains(t, log.String(), `error="the namespace is full"`)
}

func TestTheNameOfAnEventIsThatOfItsSecretAndTheTime(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 126) + "a"
	for secret, want := range map[string]string{"certs": "certs.", long: long[:235] + "."} {
		p := newPass(newMemory(), free)
		p.Secret.Name = secret
		var names []string
		p.Events = events(func(_ context.Context, e *core.Event) error {
			names = append(names, e.Name)
			return nil
		})
		_, err := p.Run(t.Context())
		require.NoError(t, err)
		require.Len(t, names, 1)
		assert.Equal(t, want, names[0][:len(want)])
		assert.Regexp(t, `^[0-9a-f]{16}$`, names[0][len(want):])
		assert.Empty(t, validation.IsDNS1123Subdomain(names[0]))
	}
}
