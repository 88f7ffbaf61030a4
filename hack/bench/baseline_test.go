package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestARatioThatGotWorseIsNamed(t *testing.T) {
	t.Parallel()
	committed := baseline{"binary": 2, "warm cpu": 1.5, "warm rss": 2, "cold requests": 1}
	for name, tc := range map[string]struct {
		now  map[string]float64
		want []string
	}{
		"not when all are as committed": {map[string]float64{"binary": 2, "warm cpu": 1.5, "warm rss": 2, "cold requests": 1}, nil},
		"not when they are better":      {map[string]float64{"binary": 1, "warm cpu": 1, "warm rss": 1, "cold requests": 0.5}, nil},
		"not within the margin":         {map[string]float64{"binary": 2.03, "warm cpu": 1.8, "warm rss": 2.1, "cold requests": 1.01}, nil},
		"beyond the margin of times": {map[string]float64{"binary": 2, "warm cpu": 1.9, "warm rss": 2, "cold requests": 1}, []string{
			"warm cpu is 1.90 times the floor's: 1.50 is committed, and 25 % more is allowed"}},
		"beyond the margin of sizes and counts": {map[string]float64{"binary": 2.1, "warm cpu": 1.5, "warm rss": 2.3, "cold requests": 1.2}, []string{
			"binary is 2.10 times the floor's: 2.00 is committed, and 2 % more is allowed",
			"cold requests is 1.20 times the floor's: 1.00 is committed, and 2 % more is allowed",
			"warm rss is 2.30 times the floor's: 2.00 is committed, and 10 % more is allowed"}},
		"also when it is missing": {map[string]float64{"warm cpu": 1.5, "warm rss": 2, "cold requests": 1}, []string{"binary was not measured"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, committed.worse(tc.now))
		})
	}
}
