package probe

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestReport(t *testing.T) {
	broken := errors.New("connection refused")
	for name, tc := range map[string]struct {
		// answers are those of the targets, in the order of arrival.
		answers []answer
		sent    int
		failed  int
		closed  int
		gap     bool
		errors  []string
	}{
		"without a failure there is no gap": {
			answers: []answer{{0, nil}, {1, nil}, {0, nil}},
			sent:    3,
		},
		"a gap ends with the next success of the same target": {
			answers: []answer{{0, nil}, {0, broken}, {0, nil}},
			sent:    3, failed: 1, gap: true, errors: []string{"connection refused"},
		},
		"a target that stays broken is a gap until the end": {
			answers: []answer{{0, broken}, {1, nil}},
			sent:    2, failed: 1, gap: true, errors: []string{"connection refused"},
		},
		"a connection that the server has closed is told apart": {
			answers: []answer{{0, &CallError{errors.New("failed to call webhook: EOF")}}, {0, errors.New("other: EOF")}, {0, nil}},
			sent:    3, failed: 2, closed: 1, gap: true, errors: []string{"failed to call webhook: EOF", "other: EOF"},
		},
		"each text is kept once": {
			answers: []answer{{0, broken}, {1, broken}, {0, errors.New("timeout")}},
			sent:    3, failed: 3, gap: true, errors: []string{"connection refused", "timeout"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now().Add(-time.Minute)
			p := &Probe{seen: map[string]bool{}, lanes: []lane{{lastGood: begun}, {lastGood: begun}}}
			for _, a := range tc.answers {
				p.record(a.target, a.err)
			}
			p.finish(begun)
			assert.Equal(t, tc.sent, p.report.Sent)
			assert.Equal(t, tc.failed, p.report.Failed)
			assert.Equal(t, tc.closed, p.report.Closed)
			assert.Equal(t, tc.gap, p.report.LongestGap > 0)
			assert.Equal(t, tc.errors, p.report.Errors)
			assert.GreaterOrEqual(t, p.report.Duration, time.Minute)
		})
	}
}

// answer is what a target has answered.
type answer struct {
	target int
	err    error
}
