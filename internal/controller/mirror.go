package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
)

const (
	// A watch that fails is begun anew after a pause that grows to this.
	maxWatchPause = 5 * time.Second
	// One that a right is missing for waits longer in the end: somebody has to grant it first.
	maxForbiddenPause = 30 * time.Second
	// A watch that has lasted so long was a good one, and the next failure is the first.
	goodWatch = time.Minute
)

// Watcher follows objects; kube.Raw does.
type Watcher interface {
	Follow(ctx context.Context, path string, query url.Values, h kube.Handler) error
}

// mirror is a copy of objects of the API, kept up to date by a watch. It is safe for concurrent use. What is read from it must
// not be changed.
type mirror[T any] struct {
	path  string
	query url.Values
	// what names the objects in messages.
	what    string
	changed func()
	log     *slog.Logger

	mu      sync.Mutex
	objects map[string]*T
	// failure is what keeps the copy from being up to date, nil when it is, as far as is known.
	failure error
}

// errNotRead is the state of a mirror before the first answer.
var errNotRead = fmt.Errorf("not read yet")

func newMirror[T any](path string, query url.Values, changed func(), log *slog.Logger) *mirror[T] {
	what := path
	if name, ok := strings.CutPrefix(query.Get(fieldSelector), ofName); ok {
		what += "/" + name
	}
	return &mirror[T]{path: path, query: query, what: what, changed: changed, log: log, failure: errNotRead}
}

const (
	fieldSelector = "fieldSelector"
	ofName        = "metadata.name="
)

// named is the query for one object by its name, which rights that are limited to the name allow.
func named(name string) url.Values { return url.Values{fieldSelector: {ofName + name}} }

// run follows the objects until ctx ends.
func (m *mirror[T]) run(ctx context.Context, w Watcher) {
	first := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 10, Cap: maxForbiddenPause}
	backoff := first
	for {
		begun := time.Now()
		err := w.Follow(ctx, m.path, m.query, m)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > goodWatch {
			backoff = first
		}
		pause := backoff.Step()
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			// The watch lay too far back; the copy was good until now.
			pause = rand.N(time.Second)
		} else {
			m.fail(err)
			if !apierrors.IsForbidden(err) {
				pause = min(pause, maxWatchPause)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// fail takes note of err, and tells it when it is another one than before.
func (m *mirror[T]) fail(err error) {
	m.mu.Lock()
	known := m.failure != nil && m.failure.Error() == err.Error()
	// A copy that cannot be kept up to date is used as it is for the moment: a connection that ended is the usual reason.
	m.failure = err
	m.mu.Unlock()
	if known {
		return
	}
	if apierrors.IsForbidden(err) {
		m.log.Error("right is missing: grant it to the controller's service account", "what", m.what, "error", err)
		return
	}
	m.log.Info("watching again", "what", m.what, "cause", err.Error())
}

// Replace implements kube.Handler.
func (m *mirror[T]) Replace(events []kube.Event) {
	objects := map[string]*T{}
	for _, e := range events {
		if o := m.decode(e); o != nil {
			objects[e.Name] = o
		}
	}
	m.mu.Lock()
	m.objects, m.failure = objects, nil
	m.mu.Unlock()
	m.changed()
}

// Change implements kube.Handler.
func (m *mirror[T]) Change(e kube.Event) {
	o := m.decode(e)
	m.mu.Lock()
	if o == nil {
		delete(m.objects, e.Name)
	} else {
		m.objects[e.Name] = o
	}
	m.mu.Unlock()
	m.changed()
}

// decode is the object of an event, nil when there is none.
func (m *mirror[T]) decode(e kube.Event) *T {
	if e.Object == nil {
		return nil
	}
	o := new(T)
	if err := json.Unmarshal(e.Object, o); err != nil {
		m.log.Error("reading an object of the API server", "what", m.what, "name", e.Name, "error", err)
		return nil
	}
	return o
}

// get is the object of that name, nil when there is none. It returns an error when that is not known.
func (m *mirror[T]) get(name string) (*T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		return nil, fmt.Errorf("reading %s: %w", m.what, m.failure)
	}
	return m.objects[name], nil
}

// all are the objects. It returns an error when they are not known.
func (m *mirror[T]) all() ([]T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		return nil, fmt.Errorf("reading %s: %w", m.what, m.failure)
	}
	found := make([]T, 0, len(m.objects))
	for _, o := range m.objects {
		found = append(found, *o)
	}
	return found, nil
}

// put replaces what the mirror has of an object by the answer to a write, which the watch brings only later.
func (m *mirror[T]) put(name string, o *T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects != nil {
		m.objects[name] = o
	}
}

// state is what keeps the copy from being up to date, nil when nothing does.
func (m *mirror[T]) state() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failure
}
