package bootstrap_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/bootstrap"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// The simulation walks every order in which the API server can take the requests of some writers, and asserts after each
// request what the package doc of webhook claims:
//
//   - A certificate whose pass has ended is trusted by every entry from then on, unless somebody removes a bundle after
//     the pass has last read the configuration. (Who serves what it has read cannot know what happens later.)
//   - Every pass ends without an error.
//   - One more pass makes every certificate that was handed out trusted again, the old and the new, whatever was removed.
//
// Two orders that differ only in neighbouring requests about different objects, or in neighbouring reads, lead to the same
// answers, so one of them is enough (sleep sets: P. Godefroid, Partial-Order Methods for the Verification of Concurrent
// Systems, 1996, chapter 5).

// most bounds the orders of one case. No case comes near it; one that did would mean that writers can hinder each other
// without end.
const most = 20_000

// writer is one of those whose requests are interleaved.
type writer func(s *simulation, name string)

func TestEveryInterleavingKeepsServedCertificatesTrusted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		// old says that there is a Secret with an older CA, and that its CA is trusted already.
		old     bool
		writers []writer
	}{
		"of two first passes and Helm removing the field":          {false, []writer{pass, pass, removal}},
		"of a pass, a renewal and Helm removing the field":         {true, []writer{pass, renewal, removal}},
		"of two renewals and Helm removing the field":              {true, []writer{renewal, renewal, removal}},
		"of a pass, a renewal and somebody who deletes the Secret": {true, []writer{pass, renewal, deletion}},
		"of two first passes and somebody who deletes the Secret":  {false, []writer{pass, pass, deletion}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders := walk(t, newMemory, tc.old, tc.writers, func(s *simulation) {
				require.Empty(t, s.violations, "order: %q", s.order)
			})
			t.Logf("%d interleavings", orders)
			assert.Greater(t, orders, 20)
		})
	}
}

// The guard is what the argument rests on, so a server without it must be caught.
func TestTheSimulationSeesAMissingGuard(t *testing.T) {
	t.Parallel()
	unguarded := func() *memory {
		m := newMemory()
		m.unguarded = true
		return m
	}
	violations := 0
	walk(t, unguarded, true, []writer{pass, renewal, removal}, func(s *simulation) { violations += len(s.violations) })
	assert.Positive(t, violations)
}

// walk runs the writers in every order and calls check after each. It returns the number of orders.
func walk(t *testing.T, server func() *memory, old bool, writers []writer, check func(*simulation)) (orders int) {
	t.Helper()
	stored := generate(t, now.Add(-24*time.Hour))
	var w walker
	for range most {
		s := &simulation{memory: server(), walker: &w, served: map[string]string{}, doubted: map[string]bool{}}
		synctest.Test(t, func(t *testing.T) {
			s.ctx = t.Context()
			if old {
				s.secret = secretOf(stored)
				_, err := newPass(s.memory, free).Run(s.ctx)
				require.NoError(t, err)
			}
			s.run(writers)
		})
		if !s.redundant {
			orders++
			check(s)
		}
		if !w.advance() {
			return orders
		}
	}
	require.Fail(t, "the walk does not end")
	return 0
}

// simulation is one order of requests.
type simulation struct {
	*memory
	*walker
	ctx   context.Context
	order []string
	// redundant says that an order that leads to the same answers has been run before.
	redundant bool

	lock    sync.Mutex
	pending []request
	// served holds the fingerprints of the CAs of the certificates that passes have handed out, by writer; doubted are
	// the writers that have not read the configuration since a bundle was removed.
	served     map[string]string
	doubted    map[string]bool
	violations []string
}

// request is one that waits for its turn.
type request struct {
	name string // writer, verb and object
	turn chan struct{}
}

// run lets the writers work, one request at a time, and then one more pass.
func (s *simulation) run(writers []writer) {
	for i, w := range writers {
		go w(s, fmt.Sprint(i))
	}
	for {
		synctest.Wait() // until each writer has ended or waits for its turn
		if !s.redundant {
			s.examine()
		}
		if len(s.pending) == 0 {
			break
		}
		slices.SortFunc(s.pending, func(a, b request) int { return strings.Compare(a.name, b.name) })
		choice := 0
		if !s.redundant {
			choice = s.choose(len(s.order), s.pending)
			s.redundant = choice < 0
		}
		choice = max(choice, 0) // a redundant order is only brought to its end
		r := s.pending[choice]
		s.order = append(s.order, r.name)
		s.pending = slices.Delete(s.pending, choice, choice+1)
		close(r.turn)
	}
	if s.redundant {
		return
	}
	s.bootstrap("last", free, false)
	clear(s.doubted)
	s.examine()
}

// examine records every certificate that has been handed out and is not trusted by every entry.
func (s *simulation) examine() {
	for writer, fingerprint := range s.served {
		for _, e := range s.config.Entries {
			live, _ := gen.ParseCertificates(e.CABundle)
			if !s.doubted[writer] && !slices.Contains(fingerprints(live), fingerprint) {
				s.violations = append(s.violations, fmt.Sprintf("the certificate of writer %s is not trusted by entry %s", writer, e.Name))
			}
		}
	}
}

// turns makes the requests of a writer wait for their turns.
func (s *simulation) turns(writer string) func(verb string) {
	return func(verb string) {
		r := request{writer + " " + verb, make(chan struct{})}
		s.lock.Lock()
		s.pending = append(s.pending, r)
		s.lock.Unlock()
		<-r.turn
		if verb == "get configuration" {
			s.lock.Lock()
			delete(s.doubted, writer)
			s.lock.Unlock()
		}
	}
}

func (s *simulation) bootstrap(name string, before func(string), force bool) {
	p := newPass(s.memory, before)
	p.Want.Force = force
	sum, err := p.Run(s.ctx)
	s.lock.Lock()
	defer s.lock.Unlock()
	if err != nil {
		s.violations = append(s.violations, fmt.Sprintf("writer %s: %v", name, err))
		return
	}
	s.served[name] = sum.CAFingerprint
}

func pass(s *simulation, name string)    { s.bootstrap(name, s.turns(name), false) }
func renewal(s *simulation, name string) { s.bootstrap(name, s.turns(name), true) }

// removal is what Helm does on a switch of modes.
func removal(s *simulation, name string) {
	configurations{s.memory, s.turns(name)}.removeBundles()
	for _, writer := range []string{"0", "1"} {
		s.doubted[writer] = true
	}
}

// deletion is what a human does who wants a new certificate. That there is nothing to delete is no error.
func deletion(s *simulation, name string) {
	_ = secrets{s.memory, s.turns(name)}.Delete(s.ctx, "certs", metav1.DeleteOptions{})
}

// newPass is a pass over m whose requests call before.
func newPass(m *memory, before func(verb string)) *bootstrap.Pass {
	clock := func() time.Time { return now }
	log := slog.New(slog.DiscardHandler)
	return &bootstrap.Pass{
		Secret: &secret.Store{
			Client: secrets{m, before}, Namespace: "ns", Name: "certs", Version: "v1.2.3", FieldManager: "test", Now: clock, Log: log,
		},
		Want: secret.Want{Spec: spec},
		Configurations: []*webhook.Configuration{{
			API: configurations{m, before}, Kind: webhook.Validating, Name: "hooks", FieldManager: "test", Now: clock, Log: log,
		}},
		Now: clock,
		Log: log,
	}
}
