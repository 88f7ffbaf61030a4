package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/volcano-sh/kthena-certgen/hack/bench/usage"
)

func TestARatioThatGotWorseIsNamed(t *testing.T) {
	t.Parallel()
	committed := baseline{"binary": {2, 2, 2}, "warm cpu": {1.5, 1.4, 1.7}}
	for name, tc := range map[string]struct {
		now  baseline
		want []string
	}{
		"not when all are as committed": {committed, nil},
		"not when they are better":      {baseline{"binary": {1, 1, 1}, "warm cpu": {1, 1, 1}}, nil},
		"not within the margin":         {baseline{"binary": {2.03, 2.03, 2.03}, "warm cpu": {1.79, 1.7, 1.8}}, nil},
		"beyond the quartiles that are committed": {baseline{"binary": {2, 2, 2}, "warm cpu": {1.81, 1.7, 1.9}}, []string{
			"warm cpu is 1.81 times the floor's: 1.50 is committed, and up to 1.80 is allowed"}},
		"not when this run spreads as far": {baseline{"binary": {2, 2, 2}, "warm cpu": {1.81, 1.6, 2}}, nil},
		"beyond the least margin": {baseline{"binary": {2.05, 2.05, 2.05}, "warm cpu": {1.5, 1.4, 1.7}}, []string{
			"binary is 2.05 times the floor's: 2.00 is committed, and up to 2.04 is allowed"}},
		"also when it is missing": {baseline{"warm cpu": {1.5, 1.4, 1.7}}, []string{"binary was not measured"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, committed.worse(tc.now))
		})
	}
}

func TestARatioIsThatOfMediansWithTheQuartilesOfSingleRounds(t *testing.T) {
	t.Parallel()
	of := func(ms ...int) []usage.Usage {
		all := make([]usage.Usage, len(ms))
		for i, m := range ms {
			all[i].CPU = time.Duration(m) * time.Millisecond
		}
		return all
	}
	own, yardstick := of(20, 30, 30, 60, 40), of(10, 20, 10, 20, 20)
	assert.Equal(t, spread{Median: 1.5, Low: 2, High: 3}, ratioOf(own, yardstick, cpuOf), "of the rounds: 2, 1.5, 3, 3, 2")
	assert.Equal(t, baseline{"warm cpu": {1.667, 1, 2.5}}, baseline{"warm cpu": {5. / 3, 1, 2.5}}.rounded())
}
