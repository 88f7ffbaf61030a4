package controller

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
)

// script is a Watcher that does one step for each call of Follow, and then waits.
type script []func(h kube.Handler) error

func (s *script) Follow(ctx context.Context, _ string, query url.Values, h kube.Handler) error {
	if query.Get("fieldSelector") != "metadata.name=config" {
		return errors.New("the query is not limited to the name")
	}
	if len(*s) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	step := (*s)[0]
	*s = (*s)[1:]
	return step(h)
}

func object(t *testing.T, version string) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(configuration{Metadata: meta{Name: "config", ResourceVersion: version}})
	require.NoError(t, err)
	return text
}

func TestAMirrorFollowsAnObject(t *testing.T) {
	t.Parallel()
	var changes atomic.Int32
	m := newMirror[configuration]("/path", named("config"), func() { changes.Add(1) }, slog.New(slog.DiscardHandler))
	_, err := m.get("config")
	require.EqualError(t, err, "reading /path/config: not read yet")

	m.Replace([]kube.Event{{Name: "config", Object: object(t, "1")}})
	o, err := m.get("config")
	require.NoError(t, err)
	assert.Equal(t, "1", o.Metadata.ResourceVersion)
	m.Change(kube.Event{Name: "config", Object: object(t, "2")})
	o, err = m.get("config")
	require.NoError(t, err)
	assert.Equal(t, "2", o.Metadata.ResourceVersion)
	m.Change(kube.Event{Name: "config"})
	o, err = m.get("config")
	require.NoError(t, err)
	assert.Nil(t, o)
	assert.EqualValues(t, 3, changes.Load(), "each of them wakes who depends on it")
}

func TestAMirrorReadsAgainAfterAFailureAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	failed, again := make(chan struct{}), make(chan struct{})
	steps := script{
		func(h kube.Handler) error {
			h.Replace([]kube.Event{{Name: "config", Object: object(t, "1")}})
			return errors.New("connection lost")
		},
		func(h kube.Handler) error {
			close(failed)
			<-again
			h.Replace([]kube.Event{{Name: "config", Object: object(t, "2")}})
			return apierrors.NewResourceExpired("too old resource version")
		},
	}
	m := newMirror[configuration]("/path", named("config"), func() {}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.run(ctx, &steps) }()
	<-failed
	o, err := m.get("config")
	require.NoError(t, err)
	assert.Equal(t, "1", o.Metadata.ResourceVersion)
	require.EqualError(t, m.state(), "connection lost")
	close(again)
	require.Eventually(t, func() bool { return m.state() == nil }, time.Minute, time.Millisecond)
	o, err = m.get("config")
	require.NoError(t, err)
	assert.Equal(t, "2", o.Metadata.ResourceVersion)
	cancel()
	<-ended
	require.NoError(t, m.state(), "that a watch lay too far back is no failure")
}

func TestAMissingRightIsNamedOnce(t *testing.T) {
	t.Parallel()
	log := &records{}
	m := newMirror[configuration]("/path", named("config"), func() {}, slog.New(log))
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "config", errors.New("no"))
	m.fail(forbidden)
	m.fail(forbidden)
	require.Len(t, log.messages(), 1)
	assert.Equal(t, "right is missing: grant it to the controller's service account", log.messages()[0])
}
