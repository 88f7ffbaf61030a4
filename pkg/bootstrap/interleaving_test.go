package bootstrap_test

import (
	"context"
	"errors"
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
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/gen/gentest"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// The simulation walks every order in which the API server can take the requests of some writers, and asserts after each
// request what the package doc of webhook claims:
//
//   - A certificate whose pass has ended is trusted by every entry from then on, unless somebody removes a bundle after
//     the pass has last read the configuration. (Who serves what it has read cannot know what happens later.)
//   - Every pass ends without an error, but for a writer for whose CAs there is no room: it is refused.
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
	one, other := largeSecret(t), largeSecret(t)
	for name, tc := range map[string]struct {
		// old says that there is a Secret with an older CA, and that its CA is trusted already.
		old     bool
		writers []writer
		// refused is the number of writers for whose CAs there is no room, whoever they are.
		refused int
	}{
		"of two first passes and Helm removing the field":             {false, []writer{pass, pass, removal}, 0},
		"of a pass, a renewal and Helm removing the field":            {true, []writer{pass, renewal, removal}, 0},
		"of two renewals and Helm removing the field":                 {true, []writer{renewal, renewal, removal}, 0},
		"of a pass, a renewal and somebody who deletes the Secret":    {true, []writer{pass, renewal, deletion}, 0},
		"of two first passes and somebody who deletes the Secret":     {false, []writer{pass, pass, deletion}, 0},
		"of a pass and two whose sets have no room beside each other": {true, []writer{pass, hoard(one), hoard(other)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders := walk(t, newMemory, tc.old, tc.writers, func(s *simulation) {
				require.Empty(t, s.violations, "order: %q", s.order)
				require.Len(t, s.refused, tc.refused, "order: %q", s.order)
			})
			t.Logf("%d interleavings", orders)
			assert.GreaterOrEqual(t, orders, 20)
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
		s := &simulation{memory: server(), walker: &w, served: map[string]string{}, doubted: map[string]bool{}, refused: map[string]bool{}}
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
	// trusted are the fingerprints of what each entry trusts, in the version parsed.
	trusted [][]string
	parsed  string
	// refused are the writers for whose CAs there was no room.
	refused map[string]bool
	// again are passes that are made anew in the end, and must do and say what they did and said before.
	again []func()
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
		time.Sleep(time.Minute) // so that nobody pauses any more before he tries again
		synctest.Wait()         // until each writer has ended or waits for its turn
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
	before := s.config.ResourceVersion
	for _, again := range s.again {
		again()
	}
	if s.examine(); s.config.ResourceVersion != before {
		s.violations = append(s.violations, "what is in place is changed")
	}
}

// examine records every certificate that has been handed out and is not trusted by every entry.
func (s *simulation) examine() {
	if s.parsed != s.config.ResourceVersion {
		s.parsed, s.trusted = s.config.ResourceVersion, nil
		for _, e := range s.config.Entries {
			live, _ := gen.ParseCertificates(e.CABundle)
			s.trusted = append(s.trusted, fingerprints(live))
		}
	}
	for writer, fingerprint := range s.served {
		for i, live := range s.trusted {
			if !s.doubted[writer] && !slices.Contains(live, fingerprint) {
				s.violations = append(
					s.violations, fmt.Sprintf("the certificate of writer %s is not trusted by entry %s", writer, s.config.Entries[i].Name),
				)
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

// hoard is a pass of another Secret, somebody else's.
func hoard(other *core.Secret) writer {
	return func(s *simulation, name string) {
		run := func(before func(string)) error {
			p := newPass(&memory{secret: other.DeepCopy()}, free)
			p.Configurations = newPass(s.memory, before).Configurations
			sum, err := p.Run(s.ctx)
			s.lock.Lock()
			defer s.lock.Unlock()
			var refused *webhook.RefusedError
			switch {
			case err == nil:
				s.served[name] = sum.CAFingerprint
			case errors.As(err, &refused):
				s.refused[name] = true
			default:
				s.violations = append(s.violations, fmt.Sprintf("writer %s: %v", name, err))
			}
			return err
		}
		first := run(s.turns(name))
		s.lock.Lock()
		defer s.lock.Unlock()
		s.again = append(s.again, func() {
			if again := run(free); fmt.Sprint(first) != fmt.Sprint(again) {
				s.violations = append(s.violations, fmt.Sprintf("writer %s ended with %v, and then with %v", name, first, again))
			}
		})
	}
}

// largeSecret is a good one of somebody else, whose CA set takes almost a third of what the bundles of a configuration may have.
func largeSecret(t *testing.T) *core.Secret {
	t.Helper()
	b := generate(t, now)
	large := gentest.LargeCA(t, webhook.MaxBundles*3/10, now, time.Hour)
	s := secretOf(b)
	s.Labels = nil
	s.Data["ca.crt"] = append(b.CA, gen.CASet{large}.PEM()...)
	return s
}

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
