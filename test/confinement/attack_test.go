package confinement

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
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

// The words in which the API server says that one of our policies, or RBAC, is against a request.
const (
	byPolicy = "ValidatingAdmissionPolicy 'kthena-"
	byRBAC   = "cannot "
)

func attacks() []attack {
	return slices.Concat(onWebhooks(), onSecrets(), onDeployments(), onEvents(), onModels())
}

func TestNoServiceAccountCanDoMoreThanItsJob(t *testing.T) {
	s := newStage(t)
	all := attacks()
	names := map[string]bool{}
	for _, a := range all {
		require.False(t, names[a.name], "two attacks have the name %s", a.name)
		names[a.name] = true
	}

	s.relax(t)
	t.Run("without the policies, the Roles let some of it through", func(t *testing.T) {
		open := 0
		for _, a := range all {
			err := s.try(t, a, client(s.accounts[a.account]))
			if !a.open {
				assert.True(t, apierrors.IsForbidden(err), "%s: %v", a.name, err)
				continue
			}
			assert.NoError(t, err, a.name)
			open++
		}
		t.Logf("%d of %d attacks go through", open, len(all))
	})
	t.Run("without the policies, wider rights let all of it through", func(t *testing.T) {
		s.widen(t)
		for _, a := range all {
			assert.NoError(t, s.try(t, a, client(s.accounts[a.account])), a.name)
		}
	})

	s.enforce(t)
	before := s.state(t)
	t.Run("with the policies, nothing of it goes through", func(t *testing.T) {
		policies := 0
		for _, a := range all {
			err := s.refused(t, a)
			if a.open {
				assert.ErrorContains(t, err, byPolicy, a.name)
				policies++
			}
		}
		t.Logf("%d attacks refused, %d of them by a policy", len(all), policies)
	})
	t.Run("with the policies, wider rights change nothing", func(t *testing.T) {
		s.widen(t)
		for _, a := range all {
			assert.ErrorContains(t, s.refused(t, a), byPolicy, a.name)
		}
	})
	assert.Equal(t, before, s.state(t), "everything is as it was")
	t.Run("with the policies, an administrator may do all of it", func(t *testing.T) {
		for _, a := range all {
			assert.NoError(t, s.try(t, a, s.admin), a.name)
		}
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
	if r.verb == http.MethodPatch || r.verb == http.MethodPut {
		if body, err := s.admin.Get().AbsPath(r.path).Do(t.Context()).Raw(); !apierrors.IsNotFound(err) {
			require.NoError(t, err)
			before = decode(t, body)
		}
	}
	body, err := r.do(t, client, !a.real)
	if err != nil {
		return err
	}
	if before != nil {
		assert.NotEqual(t, content(before), content(decode(t, body)), "%s changes nothing", a.name)
	}
	if a.real && r.verb == http.MethodPost {
		require.NoError(t, s.admin.Delete().AbsPath(r.target).Do(t.Context()).Error())
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
