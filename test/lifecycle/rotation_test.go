package lifecycle

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

// load is how many rotations in a row, under how many objects a second, the tests of this package try. A busy machine manages
// fewer objects.
func load() (rotations, rate int) {
	if testing.Short() {
		return 1, 40
	}
	return 10, 150
}

func TestNoAdmissionRequestFailsWhileCertificatesRotate(t *testing.T) {
	charttest.AssertNoneBroken(t, rotate(t, env, nil))
}

// A server that tells its clients to close their connections before it ends leaves none that a request could meet while it
// is being closed: not one fails, whatever the reason. Kthena's do not, so this says what they would have to do.
func TestNotOneRequestFailsWhereServersDrain(t *testing.T) {
	if testing.Short() {
		t.Skip("its 30 rolls are what there is to see: make rotation")
	}
	charttest.AssertNoneFailed(t, rotate(t, env, charttest.Draining()))
}

// An API server that chooses the endpoint of each call itself sends none to a pod that is ending, so that no call can meet
// a connection being closed: not one fails, whatever the reason.
func TestNotOneRequestFailsWhereTheAPIServerChoosesEndpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a cluster of its own: make rotation")
	}
	choosing, err := charttest.Start(t.Context(), charttest.Options{AggregatorRouting: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, choosing.Stop()) })
	charttest.AssertNoneFailed(t, rotate(t, choosing, nil))
}

// rotate installs the chart and, under load, renews the certificates of all components by hand and rolls their pods, again
// and again. The values are laid over the test's own.
func rotate(t *testing.T, e *charttest.Environment, values map[string]any) probe.Report {
	t.Helper()
	i := e.Install(t, charttest.Merged(charttest.Replicas(replicas), values))
	rotations, rate := load()
	p := i.Probe(t, rate)
	seen := map[string]bool{}
	for range rotations {
		for _, c := range components {
			var line struct{ Reason, CAFingerprint, Files string }
			require.NoError(t, json.Unmarshal([]byte(c.bootstrap(t, e, i.Namespace, "--force-renew")), &line))
			require.Equal(t, "renewed:forced", line.Reason)
			require.Equal(t, "none", line.Files)
			require.False(t, seen[line.CAFingerprint], "every renewal makes a new CA")
			seen[line.CAFingerprint] = true
		}
		i.Restart(t)
	}
	t.Logf("%d rotations of %d components with %d replicas each", rotations, len(components), replicas)
	report := p.Stop()
	for _, target := range i.Targets(t) {
		live, malformed := gen.ParseCertificates(target.CABundle)
		assert.Zero(t, malformed)
		assert.Len(t, live, rotations+1, "%s: no CA is pushed out", target.Entry)
	}
	return report
}

func TestAWipedBundleIsMadeGoodByTheNextBootstrap(t *testing.T) {
	i := env.Install(t, charttest.Replicas(replicas))
	all := i.Targets(t)
	registry, first := components[0], all[0]
	require.Equal(t, registry.deployment, first.Component)
	require.NoError(t, first.Send(t.Context(), true))

	client := env.Client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := client.Get(t.Context(), first.Configuration, metav1.GetOptions{})
	require.NoError(t, err)
	for n := range config.Webhooks {
		config.Webhooks[n].ClientConfig.CABundle = nil
	}
	_, err = client.Update(t.Context(), config, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return first.Send(t.Context(), true) != nil }, 30*time.Second, 5*time.Millisecond, "the loss shows")

	begun := time.Now()
	registry.bootstrap(t, env, i.Namespace)
	ended := time.Now()
	require.Eventually(t, func() bool { return first.Send(t.Context(), true) == nil }, 30*time.Second, time.Millisecond)
	t.Logf(
		"the bootstrap took %s; the first request was answered %s after its end", ended.Sub(begun).Round(time.Millisecond),
		time.Since(ended).Round(time.Millisecond),
	)
	_, rate := load()
	p := probe.Start(t.Context(), all, rate)
	i.Restart(t)
	charttest.AssertNoneBroken(t, p.Stop())
}

func TestALostSecretAndARollingRestartFailNoRequest(t *testing.T) {
	i := env.Install(t, charttest.Replicas(replicas))
	secrets := env.Client.CoreV1().Secrets(i.Namespace)
	fill := func(s *corev1.Secret, value []byte) error {
		for key := range s.Data {
			s.Data[key] = value
		}
		_, err := secrets.Update(t.Context(), s, metav1.UpdateOptions{})
		return err
	}
	losses := []func(s *corev1.Secret) error{
		func(s *corev1.Secret) error { return secrets.Delete(t.Context(), s.Name, metav1.DeleteOptions{}) },
		func(s *corev1.Secret) error { return fill(s, nil) },
		func(s *corev1.Secret) error { return fill(s, []byte("garbage")) },
	}
	rounds := len(losses) // in which every component loses its Secret in every way
	if testing.Short() {
		rounds = 1
	}
	_, rate := load()
	for round := range rounds {
		// Each round begins with what the one before has made good.
		list, err := secrets.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=kthena-certgen"})
		require.NoError(t, err)
		require.Len(t, list.Items, len(components))
		p := i.Probe(t, rate)
		for n, s := range list.Items {
			assert.NoError(t, losses[(n+round)%len(losses)](&s))
		}
		i.Restart(t)
		charttest.AssertNoneBroken(t, p.Stop())
	}
}
