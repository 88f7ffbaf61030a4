package confinement

import (
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// How many requests of a kind, and how many bootstraps, are measured in a row.
const (
	requestsPerRound   = 100
	bootstrapsPerRound = 10
)

// BenchmarkPolicies measures what the policies add to a request and to a bootstrap, in rounds with and without them. Per case it reports
// the median without them, and the ratio of the medians; `-benchtime=10x` makes ten rounds of each.
func BenchmarkPolicies(b *testing.B) {
	s := newStage(b)
	cases := s.costs(b)
	with, without := map[string][]time.Duration{}, map[string][]time.Duration{}
	measure := func(into map[string][]time.Duration) {
		for name, c := range cases {
			for range c.times {
				if c.before != nil {
					require.NoError(b, c.before(b))
				}
				begun := time.Now()
				require.NoError(b, c.do(b))
				into[name] = append(into[name], time.Since(begun))
			}
		}
	}
	b.ResetTimer()
	for range b.N {
		measure(with)
		s.relax(b)
		measure(without)
		measure(without)
		s.enforce(b)
		measure(with)
	}
	for name := range cases {
		b.ReportMetric(float64(median(without[name]))/float64(time.Millisecond), name+"-ms")
		b.ReportMetric(float64(median(with[name]))/float64(median(without[name])), name+"-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

// cost is something whose duration is measured, how often in a round, and what comes before, if anything.
type cost struct {
	times  int
	before func(t testing.TB) error
	do     func(t testing.TB) error
}

// costs are what is measured: requests by accounts that the policies are for, the same by somebody else, and whole bootstraps.
func (s *stage) costs(t testing.TB) map[string]cost {
	t.Helper()
	dry := func(client rest.Interface, a attack) cost {
		r := a.request(t, s)
		return cost{times: requestsPerRound, do: func(t testing.TB) error {
			_, err := r.do(t, client, true)
			return err
		}}
	}
	jobs := jobs()
	job := func(name string) attack {
		return jobs[slices.IndexFunc(jobs, func(a attack) bool { return a.name == name })]
	}
	bundle, roll := job("change the bundles of a configuration"), job("roll the pods, by "+byMergePatch.name)
	secret := attack{request: func(t testing.TB, s *stage) request {
		return request{verb: http.MethodPost, path: s.secrets(), body: encode(t, tlsSecret(s.Namespace, routerSecret))}
	}}
	return map[string]cost{
		"bundle": dry(client(s.accounts[controller]), bundle), "bundle-by-others": dry(s.admin, bundle),
		"roll": dry(client(s.accounts[controller]), roll), "roll-by-others": dry(s.admin, roll),
		"secret": dry(client(s.accounts[router]), secret), "secret-by-others": dry(s.admin, secret),
		"warm-bootstrap": s.bootstrapCost(t, false), "cold-bootstrap": s.bootstrapCost(t, true),
	}
}

// bootstrapCost is a bootstrap that finds everything in place, or one that finds no Secret.
func (s *stage) bootstrapCost(t testing.TB, cold bool) cost {
	t.Helper()
	args := s.arguments(t)
	c := cost{times: bootstrapsPerRound, do: func(t testing.TB) error {
		return exec.CommandContext(t.Context(), env.Program("kthena-certgen"), args...).Run()
	}}
	if cold {
		// Without the CAs of earlier runs: a bundle has room for a few, and the pods go on serving the certificate of one.
		bundles := map[string][]byte{}
		for _, name := range []string{mutating, validating} {
			bundles[configuration(name)] = encode(t, map[string]any{"webhooks": s.get(t, configuration(name))["webhooks"]})
		}
		c.before = func(t testing.TB) error {
			for path, body := range bundles {
				if _, err := (request{verb: http.MethodPatch, path: path, patch: types.MergePatchType, body: body}).do(t, s.admin, false); err != nil {
					return err
				}
			}
			return env.Client.CoreV1().Secrets(s.Namespace).Delete(t.Context(), registrySecret, metav1.DeleteOptions{})
		}
	}
	return c
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
