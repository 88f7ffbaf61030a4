package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/probe"
)

// autoSecret is the Secret of a subchart's webhook in auto mode.
func autoSecret(subchart string) string { return subchart + "-webhook-certs-auto" }

// subcharts are those with webhooks, and their Deployments.
var subcharts = map[string]string{"registry": "kthena-registry", "workload": "kthena-workload", "networking": "kthena-router"}

// A renewal is due every minute or so: the certificates live for an hour and are renewed when so much less than that is left.
func shortLived(every time.Duration) map[string]any {
	return map[string]any{"global": map[string]any{"certgen": map[string]any{"validity": "1h", "renewBefore": (time.Hour - every).String()}}}
}

func TestCertificatesAreRenewedAndServedWithNobodyActing(t *testing.T) {
	if testing.Short() {
		_, report := leaveAlone(t, 40*time.Second, 1, 60)
		charttest.AssertNoneBroken(t, report)
		return
	}
	t.Run("by servers that load their files once as Kthena's", func(t *testing.T) {
		renewals, report := leaveAlone(t, 45*time.Second, 4, 80)
		charttest.AssertNoneBroken(t, report)
		assert.GreaterOrEqual(t, renewals, 10)
		assert.GreaterOrEqual(t, report.Sent, 10_000)
	})
	t.Run("by servers that drain", func(t *testing.T) {
		_, report := leaveAlone(t, 45*time.Second, 1, 80, charttest.Draining())
		charttest.AssertNoneFailed(t, report)
	})
}

// leaveAlone installs the chart with certificates that are due after a while, lets each be renewed so many times and served, and
// returns the number of all renewals and what requests met.
func leaveAlone(t *testing.T, every time.Duration, rounds, rate int, values ...map[string]any) (renewals int, report probe.Report) {
	t.Helper()
	i := install(t, append(values, shortLived(every))...)
	before := generations(t, i)
	first := map[string]string{}
	for subchart := range subcharts {
		first[subchart] = fingerprint(t, i, autoSecret(subchart))
	}
	p := i.Probe(t, rate)
	seen := map[string][]string{}
	require.Eventually(t, func() bool {
		done := true
		for subchart := range subcharts {
			if now := fingerprint(t, i, autoSecret(subchart)); now != first[subchart] && !slices.Contains(seen[subchart], now) {
				seen[subchart] = append(seen[subchart], now)
			}
			done = done && len(seen[subchart]) >= rounds
		}
		return done
	}, time.Duration(rounds)*every+patience, 500*time.Millisecond)
	// What is renewed is served before the next renewal is due.
	for subchart, deployment := range subcharts {
		require.Eventually(
			t, func() bool { return get(t, i, deployment).Generation >= before[deployment]+int64(rounds) }, patience, 250*time.Millisecond, subchart,
		)
	}
	i.Settle(t)
	report = p.Stop()
	for subchart, deployment := range subcharts {
		renewals += len(seen[subchart])
		rolls := get(t, i, deployment).Generation - before[deployment]
		assert.LessOrEqual(t, int(rolls), len(seen[subchart])+1, "at most one roll for each certificate of %s", deployment)
	}
	t.Logf(
		"%d renewals of %d components with %d replicas each, with nobody acting: %s", renewals, len(subcharts), replicas,
		charttest.Figures(report),
	)
	return renewals, report
}

// wipes are the ways in which an entry loses its CA.
var wipes = []struct {
	name string
	do   func(w *admissionv1.ValidatingWebhookConfiguration, stranger []byte)
}{
	{"removed", func(w *admissionv1.ValidatingWebhookConfiguration, _ []byte) {
		w.Webhooks[rand.N(len(w.Webhooks))].ClientConfig.CABundle = nil
	}},
	{"emptied", func(w *admissionv1.ValidatingWebhookConfiguration, _ []byte) {
		for n := range w.Webhooks {
			w.Webhooks[n].ClientConfig.CABundle = []byte{}
		}
	}},
	{"replaced by a foreign CA", func(w *admissionv1.ValidatingWebhookConfiguration, stranger []byte) {
		w.Webhooks[rand.N(len(w.Webhooks))].ClientConfig.CABundle = stranger
	}},
	{"entry added", func(w *admissionv1.ValidatingWebhookConfiguration, _ []byte) {
		added := *w.Webhooks[0].DeepCopy()
		added.Name = fmt.Sprintf("added-%d.example.com", len(w.Webhooks))
		added.ClientConfig.CABundle = nil
		added.Rules = nil
		w.Webhooks = append(w.Webhooks, added)
	}},
	{"deleted and made again", nil},
}

func TestALostBundleIsHealed(t *testing.T) {
	times := 2
	if !testing.Short() {
		times = 20
	}
	i := install(t)
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	const name, secret = "kthena-registry-validating-webhook", "registry-webhook-certs-auto"
	stranger, err := gen.Generate(gen.Spec{DNSNames: []string{"a"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
	require.NoError(t, err)
	_, stored := secretOf(t, i, secret)
	before := generations(t, i)
	original, err := client.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)

	i.RequireAdmission(t, charttest.Entries)
	var all []time.Duration
	targets := i.Targets(t)
	for _, wipe := range wipes {
		var took []time.Duration
		p := probe.Start(t.Context(), targets, 60)
		for range times {
			w, err := client.Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(t, err)
			begun := time.Now()
			if wipe.do == nil {
				require.NoError(t, client.Delete(t.Context(), name, metav1.DeleteOptions{}))
				again := original.DeepCopy()
				again.ResourceVersion, again.UID = "", ""
				for n := range again.Webhooks {
					again.Webhooks[n].ClientConfig.CABundle = nil
				}
				_, err = client.Create(t.Context(), again, metav1.CreateOptions{})
			} else {
				wipe.do(w, stranger.CA)
				_, err = client.Update(t.Context(), w, metav1.UpdateOptions{})
			}
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				w, err := client.Get(t.Context(), name, metav1.GetOptions{})
				require.NoError(t, err)
				for _, entry := range w.Webhooks {
					live, _ := gen.ParseCertificates(entry.ClientConfig.CABundle)
					if !live.ContainsAll(stored.CAs, time.Now()) {
						return false
					}
				}
				return true
			}, patience, 2*time.Millisecond, wipe.name)
			took = append(took, time.Since(begun))
		}
		report := p.Stop()
		slices.Sort(took)
		all = append(all, took...)
		t.Logf("%-26s %3d times: healed in %4s (median), %4s (worst); %.1f failed calls each; longest gap %s", wipe.name, times,
			took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), float64(report.Failed)/float64(times),
			report.LongestGap.Round(time.Millisecond))
	}
	slices.Sort(all)
	worst := all[len(all)-1]
	t.Logf(
		"%-26s %3d times: healed in %4s (median), %4s (worst)", "all", len(all), all[len(all)/2].Round(time.Millisecond),
		worst.Round(time.Millisecond),
	)
	if !testing.Short() {
		assert.GreaterOrEqual(t, len(all), 100)
		assert.LessOrEqual(t, worst, 2*time.Second, "what is lost is healed in two seconds, on a machine that does nothing else")
	}
	i.RequireAdmission(t, charttest.Entries)
	assert.Equal(t, before, generations(t, i), "a bundle that is healed needs no roll")
	assert.Contains(t, events(t, i, "Secret", secret)["Healed"], "the CA of the Secret was missing in ValidatingWebhookConfiguration "+name)
}

func TestALostSecretIsRepairedAndServed(t *testing.T) {
	i := install(t)
	secrets := env.Client.CoreV1().Secrets(i.Namespace)
	name := autoSecret("registry")
	fill := func(value []byte) func(t *testing.T, s *corev1.Secret) {
		return func(t *testing.T, s *corev1.Secret) {
			for key := range s.Data {
				s.Data[key] = value
			}
			_, err := secrets.Update(t.Context(), s, metav1.UpdateOptions{})
			require.NoError(t, err)
		}
	}
	remove := func(t *testing.T, s *corev1.Secret) {
		require.NoError(t, secrets.Delete(t.Context(), s.Name, metav1.DeleteOptions{}))
	}
	for _, loss := range []struct {
		name string
		do   func(t *testing.T, s *corev1.Secret)
	}{
		{"deleted", remove},
		{"emptied", fill(nil)},
		{"garbage", fill([]byte("garbage"))},
		{"of the wrong type", func(t *testing.T, s *corev1.Secret) {
			remove(t, s)
			_, err := secrets.Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: s.Labels}, Type: corev1.SecretTypeOpaque,
				Data: map[string][]byte{"tls.crt": []byte("garbage")},
			}, metav1.CreateOptions{})
			// The controller may have been faster with one of its own.
			if err != nil {
				t.Logf("creating it: %v", err)
			}
		}},
	} {
		t.Run(loss.name, func(t *testing.T) {
			before := fingerprint(t, i, name)
			s, _ := secretOf(t, i, name)
			p := i.Probe(t, 40)
			begun := time.Now()
			loss.do(t, s)
			var after string
			require.Eventually(t, func() bool {
				s, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
				if err != nil || s.Type != corev1.SecretTypeTLS {
					return false
				}
				_, r := secretOf(t, i, name)
				if r.OK() && r.Leaf != nil {
					after = gen.Fingerprint(r.Leaf)
				}
				return after != "" && after != before
			}, patience, 5*time.Millisecond)
			repaired := time.Since(begun)
			awaitServed(t, i, "registry-webhook", after, replicas)
			i.Settle(t)
			report := p.Stop()
			t.Logf(
				"%s: repaired in %s, served in %s: %s", loss.name, repaired.Round(time.Millisecond), time.Since(begun).Round(100*time.Millisecond),
				charttest.Figures(report),
			)
			charttest.AssertNoneBroken(t, report)
		})
	}
}

func TestARenewalRetiresTheKeyBeforeIt(t *testing.T) {
	i := install(t, settings(map[string]any{"retireAfter": "3s"}))
	name := autoSecret("registry")
	old, before := secretOf(t, i, name)
	p := i.Probe(t, 40)
	force(t, i, "registry")
	awaitServed(t, i, "registry-webhook", fingerprint(t, i, name), replicas)
	retired := before.CAs[0]
	require.Eventually(t, func() bool {
		_, now := secretOf(t, i, name)
		for _, target := range i.Targets(t) {
			live, _ := gen.ParseCertificates(target.CABundle)
			if live.Contains(retired) {
				return false
			}
		}
		return !now.CAs.Contains(retired)
	}, patience, 250*time.Millisecond, "the old CA is trusted no longer")
	charttest.AssertNoneBroken(t, p.Stop())

	for _, target := range i.Targets(t) {
		live, _ := gen.ParseCertificates(target.CABundle)
		stolen := gen.Check(gen.Bundle{CA: live.PEM(), Cert: old.Data["tls.crt"], Key: old.Data["tls.key"]}, nil, time.Now())
		assert.False(t, stolen.OK(), "a stolen old certificate is refused by %s", target.Entry)
	}
	assert.Contains(t, events(t, i, "Secret", name)["Retired"], "the CA of an older certificate is no longer trusted")
	assert.Empty(t, look(t, i).Findings)
}
