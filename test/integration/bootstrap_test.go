package integration

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

func (s *site) requireTrusted(t *testing.T, o *outcome) {
	t.Helper()
	cert, key := o.file(t, "tls.crt"), o.file(t, "tls.key")
	for _, bundle := range append(s.bundles(t), o.file(t, "ca.crt")) {
		r := gen.Check(gen.Bundle{CA: bundle, Cert: cert, Key: key}, s.names(), time.Now())
		require.Empty(t, r.Faults)
	}
}

func TestAFreshBootstrapDoesTheWholeJobWithTheFewestRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createConfigurations(t)
	o := s.bootstrap(t.Context(), t, "--label", "app.kubernetes.io/instance=r")
	o.requireDone(t, "created")
	s.requireTrusted(t, o)
	assert.Equal(t, "created", o.Reason)
	assert.Equal(t, s.namespace+"/"+s.secret, o.Secret)
	assert.Equal(t, "written", o.Files)
	assert.WithinDuration(t, time.Now().AddDate(0, 0, 3650), o.NotAfter, time.Minute, "ten years of 365 days")
	require.Len(t, o.WebhookConfigurations, 2)
	for _, c := range o.WebhookConfigurations {
		assert.True(t, c.Patched)
		assert.Equal(t, 2, c.Entries)
	}
	stored := s.storedSecret(t)
	assert.Equal(t, o.CAFingerprint, stored.Annotations["certgen.kthena.volcano.sh/ca-fingerprint"])
	assert.Equal(t, "r", stored.Labels["app.kubernetes.io/instance"])
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		assert.Equal(t, string(stored.Data[name]), string(o.file(t, name)))
	}
	assert.Equal(t, map[string]int{
		"get secrets 404": 1, "create secrets 201": 1, "create events 201": 1,
		"get mutatingwebhookconfigurations 200": 1, "patch mutatingwebhookconfigurations 200": 1,
		"get validatingwebhookconfigurations 200": 1, "patch validatingwebhookconfigurations 200": 1,
	}, s.requests(t))
	assert.NotContains(t, o.stderr, "PRIVATE KEY")
}

func TestAWarmBootstrapReadsEachObjectOnceAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createConfigurations(t)
	first := s.bootstrap(t.Context(), t)
	first.requireDone(t, "created")
	before := s.requests(t)

	second := s.bootstrap(t.Context(), t)
	second.requireDone(t, "reused")
	s.requireTrusted(t, second)
	assert.Equal(t, first.CAFingerprint, second.CAFingerprint)
	after := s.requests(t)
	for kind, n := range before {
		after[kind] -= n
	}
	assert.Equal(t, map[string]int{
		"get secrets 200": 1, "get mutatingwebhookconfigurations 200": 1, "get validatingwebhookconfigurations 200": 1,
		"get secrets 404": 0, "create secrets 201": 0, "create events 201": 0, "patch mutatingwebhookconfigurations 200": 0,
		"patch validatingwebhookconfigurations 200": 0,
	}, after)
}

func TestRacingBootstrapsMakeOneCA(t *testing.T) {
	t.Parallel()
	for name, runs := range map[string]int{"three": 3, "fifty": 50} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.createConfigurations(t)
			outcomes := make([]*outcome, runs)
			var group sync.WaitGroup
			for i := range runs {
				group.Go(func() { outcomes[i] = s.bootstrap(t.Context(), t) })
			}
			group.Wait()
			count := map[string]int{}
			for _, o := range outcomes {
				require.Equal(t, 0, o.code, o.stderr)
				count[o.Outcome]++
				assert.Equal(t, outcomes[0].CAFingerprint, o.CAFingerprint)
				s.requireTrusted(t, o)
			}
			assert.Equal(t, map[string]int{"created": 1, "reused": runs - 1}, count)
			for _, bundle := range s.bundles(t) {
				certs, _ := gen.ParseCertificates(bundle)
				assert.Len(t, certs, 1)
			}
		})
	}
}

func TestAWebhookConfigurationThatAppearsLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createMutating(t)
	done := make(chan *outcome, 1)
	go func() { done <- s.bootstrap(t.Context(), t) }()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Positive(c, s.requests(c)["get validatingwebhookconfigurations 404"])
	}, 30*time.Second, 50*time.Millisecond)
	s.createValidating(t)
	o := <-done
	o.requireDone(t, "created")
	s.requireTrusted(t, o)
}

func TestAWebhookConfigurationThatNeverAppearsTimesOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createMutating(t)
	o := s.bootstrap(t.Context(), t, "--timeout", "2s")
	assert.Equal(t, 4, o.code)
	assert.Equal(t, "failed", o.Outcome)
	assert.Contains(
		t, o.stderr,
		"kthena-certgen: error: waiting for ValidatingWebhookConfiguration "+s.validating+
			", which does not exist: timed out after 2s: context deadline exceeded\n",
	)
	entries, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "no certificate is served before it is trusted")
}

func TestMissingRightsAreNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createConfigurations(t)
	require.NoError(t, cluster.Client.RbacV1().RoleBindings(s.namespace).Delete(t.Context(), account, metav1.DeleteOptions{}))
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.False(c, s.may(t, "get", "secrets")) }, 30*time.Second, 20*time.Millisecond)
	o := s.bootstrap(t.Context(), t)
	assert.Equal(t, 1, o.code)
	assert.Contains(
		t, o.stderr,
		"kthena-certgen: error: ensuring secret "+s.namespace+"/"+s.secret+`: secrets "webhook-certs-auto" is forbidden: User "`+s.user+
			`" cannot get resource "secrets" in API group "" in the namespace "`+s.namespace+`"`,
	)
}

func TestFilesThatStandInTheWayAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createConfigurations(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	o := s.bootstrap(t.Context(), t, "--output-dir", dir)
	assert.Equal(t, 1, o.code)
	assert.Contains(t, o.stderr, path+" is there already and was not written by this program: move it away or choose another folder")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(data))
}

func TestAnAPIServerInTroubleIsRiddenOut(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]trouble{
		"too many requests":         {status: 429, retryAfter: "1"},
		"an internal error":         {status: 500},
		"a server that is starting": {status: 503},
		"a connection that breaks":  {hangUp: true},
		"an answer that gets lost":  {hangUp: true, after: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.createConfigurations(t)
			p := newTroubledProxy(t, trouble)
			s.kubeconfig = s.writeKubeconfig(t, p.URL, p.ca())
			o := s.bootstrap(t.Context(), t)
			o.requireDone(t, "created")
			s.requireTrusted(t, o)
			assert.Positive(t, p.troubled.Load())
			assert.Contains(t, o.stderr, `msg="trying again"`)
		})
	}
}

func TestAnAPIServerThatIsSlowIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createConfigurations(t)
	p := newTroubledProxy(t, trouble{delay: 2 * time.Second, always: true})
	s.kubeconfig = s.writeKubeconfig(t, p.URL, p.ca())
	o := s.bootstrap(t.Context(), t)
	o.requireDone(t, "created")
	s.requireTrusted(t, o)
	assert.NotContains(t, o.stderr, "trying again")
	assert.Equal(t, int32(7), p.troubled.Load(), "no more requests than without, the Event among them")
}

func TestAnAPIServerThatNeverAnswersTimesOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := newTroubledProxy(t, trouble{status: 503, always: true})
	s.kubeconfig = s.writeKubeconfig(t, p.URL, p.ca())
	o := s.bootstrap(t.Context(), t, "--timeout", "2s")
	assert.Equal(t, 4, o.code)
	assert.Regexp(
		t,
		`kthena-certgen: error: (ensuring secret|getting \w+WebhookConfiguration) .*timed out after 2s: context deadline exceeded; last: the `+
			`API server answered 503 Service Unavailable\n`,
		o.stderr,
	)
}

func TestAnInterruptEndsTheProgram(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *outcome, 1)
	go func() { done <- s.bootstrap(ctx, t) }()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Positive(c, s.requests(c)["get validatingwebhookconfigurations 404"])
	}, 30*time.Second, 50*time.Millisecond)
	cancel()
	o := <-done
	assert.Equal(t, 1, o.code)
	assert.Contains(t, o.stderr, "interrupt signal received")
}

// may reports whether the service account has a right on an object of the Secret's name.
func (s *site) may(t *testing.T, verb, resource string) bool {
	t.Helper()
	review, err := cluster.Client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               s.user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: s.namespace, Verb: verb, Resource: resource, Name: s.secret},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}
