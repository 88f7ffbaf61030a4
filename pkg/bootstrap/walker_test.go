package bootstrap_test

import (
	"slices"
	"strings"
)

// walker visits, depth first, every order of requests that can make a difference. Each order is run from the start; the
// walker remembers what was chosen at each step of the one before.
type walker struct {
	steps []step
}

// step is one choice among the requests that waited.
type step struct {
	chosen string
	// rest are the requests that are still to be chosen here, asleep those that need not be: the orders that begin with
	// them have been run.
	rest, asleep []string
}

// choose returns the index of the request that is next at step n, or -1 when all orders that go on from here have been
// run, but for the places of requests that do not depend on each other.
func (w *walker) choose(n int, pending []request) int {
	if n == len(w.steps) {
		var s step
		if n > 0 {
			last := w.steps[n-1]
			for _, name := range last.asleep {
				if independent(name, last.chosen) {
					s.asleep = append(s.asleep, name)
				}
			}
		}
		for _, r := range pending {
			if !slices.Contains(s.asleep, r.name) {
				s.rest = append(s.rest, r.name)
			}
		}
		if len(s.rest) == 0 {
			return -1
		}
		s.chosen, s.rest = s.rest[0], s.rest[1:]
		w.steps = append(w.steps, s)
	}
	return slices.IndexFunc(pending, func(r request) bool { return r.name == w.steps[n].chosen })
}

// advance goes on to the next order and reports whether there is one.
func (w *walker) advance() bool {
	for len(w.steps) > 0 {
		last := &w.steps[len(w.steps)-1]
		if len(last.rest) > 0 {
			last.asleep = append(last.asleep, last.chosen)
			last.chosen, last.rest = last.rest[0], last.rest[1:]
			return true
		}
		w.steps = w.steps[:len(w.steps)-1]
	}
	return false
}

// independent reports whether two requests can change places without a difference: they are of different writers and
// about different objects, or both only read.
func independent(a, b string) bool {
	partsA, partsB := strings.Fields(a), strings.Fields(b)
	sameWriter, sameObject := partsA[0] == partsB[0], partsA[2] == partsB[2]
	reads := partsA[1] == "get" && partsB[1] == "get"
	return !sameWriter && (!sameObject || reads)
}
