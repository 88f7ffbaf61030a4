package confinement

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// poll is how often a condition is looked at.
const poll = 50 * time.Millisecond

// group is the attacks that one policy is against.
type group struct {
	policy  string
	attacks []attack
}

func groups() []group {
	return []group{
		{"kthena-certgen-webhooks", onWebhooks()}, {"kthena-certgen-secrets", onSecrets()}, {"kthena-certgen-deployments", onDeployments()},
		{"kthena-certgen-services", onServices()}, {"kthena-certgen-events", onEvents()}, {"kthena-verify-dry-run", onModels()},
	}
}

// refusal is how the API server says that a policy is against a request.
func refusal(policy string) string { return "ValidatingAdmissionPolicy '" + policy + "'" }

// each makes a test for each policy, so that -run can choose one: `-run 'MoreThanItsJob//kthena-certgen-events'`.
func each(t *testing.T, do func(t *testing.T, g group)) {
	t.Helper()
	for _, g := range groups() {
		t.Run(g.policy, func(t *testing.T) { do(t, g) })
	}
}

func TestNoServiceAccountCanDoMoreThanItsJob(t *testing.T) {
	s := newStage(t)
	names, all := map[string]bool{}, 0
	for _, g := range groups() {
		for _, a := range g.attacks {
			require.False(t, names[a.name], "two attacks have the name %s", a.name)
			names[a.name] = true
			all++
		}
	}

	s.relax(t)
	t.Run("without the policies, the Roles let some of it through", func(t *testing.T) {
		open := 0
		each(t, func(t *testing.T, g group) {
			for _, a := range g.attacks {
				err := s.try(t, a, client(s.accounts[a.account]))
				if !a.open {
					assert.True(t, apierrors.IsForbidden(err), "%s: %v", a.name, err)
					continue
				}
				assert.NoError(t, err, a.name)
				open++
			}
		})
		t.Logf("%d of %d attacks go through", open, all)
	})
	t.Run("without the policies, wider rights let all of it through", func(t *testing.T) {
		s.widen(t)
		each(t, func(t *testing.T, g group) {
			for _, a := range g.attacks {
				assert.NoError(t, s.try(t, a, client(s.accounts[a.account])), a.name)
			}
		})
	})

	s.enforce(t)
	before := s.state(t)
	t.Run("with the policies, nothing of it goes through", func(t *testing.T) {
		tried, byPolicy := 0, 0
		each(t, func(t *testing.T, g group) {
			for _, a := range g.attacks {
				err := s.refused(t, a)
				tried++
				if a.open {
					assert.ErrorContains(t, err, refusal(g.policy), a.name)
					byPolicy++
				}
			}
		})
		t.Logf("%d attacks refused, %d of them by a policy", tried, byPolicy)
	})
	t.Run("with the policies, wider rights change nothing", func(t *testing.T) {
		s.widen(t)
		each(t, func(t *testing.T, g group) {
			for _, a := range g.attacks {
				assert.ErrorContains(t, s.refused(t, a), refusal(g.policy), a.name)
			}
		})
	})
	assert.Equal(t, before, s.state(t), "everything is as it was")
	t.Run("with the policies, a webhook's Service that is gone is made by none of them", s.assertServiceCannotBeMade)
	t.Run("with the policies, accounts of the same names in another namespace may do all of it", func(t *testing.T) {
		s.widen(t)
		each(t, func(t *testing.T, g group) {
			for _, a := range g.attacks {
				assert.NoError(t, s.try(t, a, client(s.namesakes[a.account])), a.name)
			}
		})
	})
	t.Run("with the policies, an administrator may do all of it", func(t *testing.T) {
		each(t, func(t *testing.T, g group) {
			for _, a := range g.attacks {
				assert.NoError(t, s.try(t, a, s.admin), a.name)
			}
		})
	})
}

// refused tries an attack in earnest, asserts that the API server forbids it and that what it is aimed at stays as it is, and returns the
// answer.
func (s *stage) refused(t testing.TB, a attack) error {
	t.Helper()
	r := a.request(t, s)
	target := cmp.Or(r.target, r.path)
	before := s.version(t, target)
	_, err := r.do(t, client(s.accounts[a.account]), false)
	assert.True(t, apierrors.IsForbidden(err), "%s: %v", a.name, err)
	// An expression that cannot be evaluated refuses, too, and says so instead of what is allowed.
	assert.NotContains(t, fmt.Sprint(err), "resulted in error", a.name)
	assert.Equal(t, before, s.version(t, target), a.name)
	return err
}

// try tries an attack where it may succeed, and asserts that it has an effect if it does. Nothing is left of it.
func (s *stage) try(t testing.TB, a attack, client rest.Interface) error {
	t.Helper()
	r := a.request(t, s)
	var before map[string]any
	if r.verb != http.MethodPost {
		if body, err := s.admin.Get().AbsPath(r.path).Do(t.Context()).Raw(); !apierrors.IsNotFound(err) {
			require.NoError(t, err)
			before = decode(t, body)
		}
	}
	body, err := r.do(t, client, !a.real)
	if err != nil {
		return err
	}
	if before != nil && r.verb != http.MethodDelete {
		assert.NotEqual(t, content(before), content(decode(t, body)), "%s changes nothing", a.name)
	}
	if a.real && r.verb == http.MethodPost {
		require.NoError(t, s.admin.Delete().AbsPath(r.target).Do(t.Context()).Error())
	}
	if a.real && r.verb == http.MethodDelete {
		delete(metadata(before), "resourceVersion")
		require.NoError(t, s.admin.Post().AbsPath(path.Dir(r.path)).Body(encode(t, before)).Do(t.Context()).Error())
	}
	return nil
}

// content is an object without what the API server keeps about changes of it.
func content(o map[string]any) map[string]any {
	for _, key := range []string{"generation", "managedFields", "resourceVersion"} {
		delete(metadata(o), key)
	}
	return o
}

func client(c kubernetes.Interface) rest.Interface { return c.Discovery().RESTClient() }
