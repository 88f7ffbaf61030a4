package controller

import (
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

var now = time.Date(2026, 11, 27, 8, 30, 0, 0, time.UTC)

const (
	name   = "hook.ns.svc"
	settle = 10 * time.Second
	months = 90 * 24 * time.Hour
)

// made is a certificate of a new CA.
func made(t *testing.T) gen.Validation {
	t.Helper()
	return madeAt(t, now)
}

func madeAt(t *testing.T, at time.Time) gen.Validation {
	t.Helper()
	b, err := gen.Generate(gen.Spec{DNSNames: []string{name}, Validity: months, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, at)
	require.NoError(t, err)
	return gen.Check(b, []string{name}, now)
}

// scene is a component in auto mode with three pods behind one webhook entry, all of which is well: what a test changes is what
// it is about.
type scene struct {
	cfg *Config
	o   *observation
	m   *memory
	// old is a certificate of another CA, and current is the Secret's.
	old, current gen.Validation
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{old: made(t), current: made(t), m: &memory{}}
	s.cfg = &Config{
		Namespace: "ns", Mode: verify.Auto, Roll: true, Validity: metav1.Duration{Duration: months},
		Settle: metav1.Duration{Duration: settle}, RetireAfter: metav1.Duration{Duration: 10 * time.Minute}, WarnWithin: metav1.Duration{
			Duration: 30 * 24 * time.Hour,
		},
	}
	d := &deployment{}
	d.Metadata.Name, d.Metadata.Generation, d.Spec.Replicas = "server", 3, ptr.To[int32](3)
	d.Status.ObservedGeneration, d.Status.Replicas, d.Status.UpdatedReplicas = 3, 3, 3
	d.Status.ReadyReplicas, d.Status.AvailableReplicas = 3, 3
	s.o = &observation{component: "server", deployment: d, certificates: []certificate{{
		Certificate: Certificate{Service: "hook", Secret: "certs", DNSNames: []string{name}},
		name:        name, exists: true, ours: true, stored: s.current, retired: map[string]bool{},
		entries: []entry{{configuration: "config", name: "check", cas: s.current.CAs}},
	}}}
	s.serve(s.current, s.current, s.current)
	return s
}

func (s *scene) cert() *certificate { return &s.o.certificates[0] }

// serve says what the pods serve.
func (s *scene) serve(all ...gen.Validation) {
	s.cert().pods = nil
	for i, r := range all {
		s.cert().pods = append(s.cert().pods, pod{endpoint: verify.Endpoint{Pod: fmt.Sprintf("pod-%d", i)}, chain: r.Chain})
	}
}

// renewed is what a renewal leaves: the Secret's set and the entry hold both CAs, and the pods serve the old certificate.
func (s *scene) renewed() {
	s.cert().stored.CAs = []*x509.Certificate{s.current.CAs[0], s.old.CAs[0]}
	s.cert().entries[0].cas = s.cert().stored.CAs
	s.serve(s.old, s.old, s.old)
}

// after decides now and again after a while, with what was remembered.
func (s *scene) after(d time.Duration) decision {
	decide(s.cfg, s.o, s.m, now)
	return decide(s.cfg, s.o, s.m, now.Add(d))
}

func codes(d decision) (all []verify.Code) {
	for _, f := range d.findings {
		all = append(all, f.code)
	}
	return all
}

func TestNothingIsDoneWhereAllIsWell(t *testing.T) {
	s := newScene(t)
	d := s.after(24 * time.Hour)
	assert.Empty(t, d)
}

func TestPodsAreRolled(t *testing.T) {
	for title, change := range map[string]func(s *scene){
		"when all of them serve an older certificate": func(*scene) {},
		"when one of them does":                       func(s *scene) { s.serve(s.current, s.old, s.current) },
		"when it was rolled to another certificate before": func(s *scene) {
			s.o.deployment.Spec.Template.Metadata.Annotations = map[string]string{annotationCertificate: gen.Fingerprint(s.old.Leaf)}
		},
		"though one of them does not answer":     func(s *scene) { s.cert().pods[0].err = errors.New("refused") },
		"though the entry trusts others besides": func(s *scene) { s.cert().entries[0].cas = append(s.cert().entries[0].cas, s.old.CAs[0]) },
		"of cert-manager's, whose Secret the controller does not read": func(s *scene) {
			s.cfg.Mode, s.cert().ours = verify.CertManager, false
		},
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			s.renewed()
			change(s)
			d := s.after(settle)
			assert.Equal(t, gen.Fingerprint(s.current.Leaf), d.roll)
			assert.Contains(t, d.why, "Secret certs holds")
			assert.NotContains(t, codes(d), verify.Stale)
			assert.Empty(t, d.refused)
		})
	}
}

func TestPodsAreNotRolledYet(t *testing.T) {
	for title, tc := range map[string]struct {
		change func(s *scene)
		why    string
	}{
		"while the Deployment is paused":    {func(s *scene) { s.o.deployment.Spec.Paused = true }, "it is paused"},
		"while its last change is not seen": {func(s *scene) { s.o.deployment.Metadata.Generation++ }, "it is progressing"},
		"while it progresses":               {func(s *scene) { s.o.deployment.Status.UpdatedReplicas = 2 }, "it is progressing"},
		"while an old pod is still there":   {func(s *scene) { s.o.deployment.Status.Replicas = 4 }, "it is progressing"},
		"while a pod is not available": {
			func(s *scene) { s.o.deployment.Status.AvailableReplicas = 2 }, "not all of its pods are available",
		},
		"while another Deployment is rolled": {
			func(s *scene) { s.o.busy = "other" }, "it is not rolled before the roll of Deployment other has ended",
		},
		"when the configuration forbids it": {func(s *scene) { s.cfg.Roll = false }, "it would be rolled, which the configuration forbids"},
		"when they were rolled to that certificate once": {func(s *scene) {
			s.o.deployment.Spec.Template.Metadata.Annotations = map[string]string{annotationCertificate: gen.Fingerprint(s.current.Leaf)}
		}, "it was rolled to it already"},
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			s.renewed()
			tc.change(s)
			d := s.after(time.Hour)
			assert.Empty(t, d.roll)
			require.Contains(t, codes(d), verify.Stale)
			for _, f := range d.findings {
				if f.code == verify.Stale {
					assert.Contains(t, f.message, tc.why)
				}
			}
		})
	}
}

func TestADeploymentThatDoesNotExistIsFoundAndNotRolled(t *testing.T) {
	for title, change := range map[string]func(s *scene){
		"while pods of its serve an older certificate": (*scene).renewed,
		"while there is no pod":                        func(s *scene) { s.serve() },
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			change(s)
			s.o.deployment = nil
			d := s.after(time.Hour)
			assert.Empty(t, d.roll)
			require.Equal(t, []verify.Code{verify.DeploymentMissing}, codes(d), "one finding, however many pods there are")
			assert.Equal(t, "Deployment ns/server does not exist, so nothing is rolled: run helm upgrade", d.findings[0].message)
		})
	}
}

func TestASecretThatIsHeldInDeletionIsToldAndNotRolledTo(t *testing.T) {
	s := newScene(t)
	s.renewed()
	s.cert().terminating = true
	d := s.after(settle)
	assert.Empty(t, d.roll)
	require.Equal(t, []verify.Code{verify.SecretTerminating}, codes(d))
	assert.Equal(
		t, "Secret ns/certs: it is being deleted, and its finalizers hold it: a pod that starts waits for it to go: pods are not rolled to it",
		d.findings[0].message,
	)
	assert.Equal(t, []verify.Code{verify.SecretTerminating}, d.refused)
}

func TestThatARollWaitsForAnotherIsToldWhenThatTakesTooLong(t *testing.T) {
	s := newScene(t)
	s.renewed()
	for title, change := range map[string]func(){
		"another Deployment's": func() { s.o.busy = "other" },
		"its own":              func() { s.o.busy, s.o.deployment.Status.UpdatedReplicas = "", 2 },
	} {
		change()
		d := s.after(settle)
		require.Equal(t, []verify.Code{verify.Stale}, codes(d), title)
		assert.Equal(t, 2*time.Minute, d.findings[0].after, title)
	}
}

func TestARollWaitsUntilEveryEntryHasTrustedTheCertificateForTheSettleTime(t *testing.T) {
	s := newScene(t)
	s.renewed()
	d := s.after(settle - time.Second)
	assert.Empty(t, d.roll)
	assert.Empty(t, codes(d), "that is no finding")
	assert.InDelta(t, time.Second, d.again, float64(100*time.Millisecond), "it looks again when the time is over")

	s.cert().entries[0].cas = s.old.CAs
	decide(s.cfg, s.o, s.m, now.Add(settle))
	s.cert().entries[0].cas = s.cert().stored.CAs
	d = decide(s.cfg, s.o, s.m, now.Add(settle+time.Second))
	assert.Empty(t, d.roll, "trust that was lost begins anew")
	assert.Equal(t, gen.Fingerprint(s.current.Leaf), decide(s.cfg, s.o, s.m, now.Add(2*settle+time.Second)).roll)
}

func TestARollDoesNotWaitWhereWhatIsServedIsNotTrustedAnyMore(t *testing.T) {
	s := newScene(t)
	s.renewed()
	s.cert().entries[0].cas = s.current.CAs
	assert.Equal(t, gen.Fingerprint(s.current.Leaf), s.after(0).roll)
}

// The kubelet gives a changed Secret to a pod that starts at once, and to one that runs, as the controller's, up to a minute and a half
// later.
func TestPodsThatServeANewerCertificateThanIsMountedAreNotRolledBeforeTheKubeletIsThrough(t *testing.T) {
	for title, tc := range map[string]struct {
		mode  string
		waits time.Duration
	}{
		"cert-manager": {verify.CertManager, projection},
		"manual":       {verify.Manual, projection},
		"but in auto mode, where the Secret is read, they are": {verify.Auto, settle},
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			s.cfg.Mode, s.cert().ours = tc.mode, tc.mode == verify.Auto
			decide(s.cfg, s.o, s.m, now.Add(-time.Hour))
			newer := madeAt(t, now.Add(time.Minute))
			s.cert().entries[0].cas = append(s.cert().entries[0].cas, newer.CAs...)
			s.serve(newer, s.current, newer)
			s.m.trustedSince = now
			d := s.after(tc.waits - time.Second)
			assert.Empty(t, d.roll)
			assert.Empty(t, codes(d))
			assert.InDelta(t, time.Second, d.again, float64(100*time.Millisecond), "it looks again when the time is over")
			d = decide(s.cfg, s.o, s.m, now.Add(tc.waits))
			assert.Equal(t, gen.Fingerprint(s.current.Leaf), d.roll, "somebody has put an older certificate back")
		})
	}
	t.Run("which begins anew with the next one", func(t *testing.T) {
		s := newScene(t)
		s.cfg.Mode, s.cert().ours = verify.CertManager, false
		newer := madeAt(t, now.Add(time.Minute))
		s.cert().entries[0].cas = append(s.cert().entries[0].cas, newer.CAs...)
		s.serve(newer)
		decide(s.cfg, s.o, s.m, now)
		s.serve(s.current)
		decide(s.cfg, s.o, s.m, now.Add(time.Minute))
		s.serve(newer)
		decide(s.cfg, s.o, s.m, now.Add(time.Hour))
		assert.Empty(t, decide(s.cfg, s.o, s.m, now.Add(time.Hour+projection-time.Second)).roll)
	})
}

func TestASecretThatIsMissingIsToldWhenTheKubeletIsThrough(t *testing.T) {
	for mode, after := range map[string]time.Duration{verify.Auto: patience, verify.CertManager: projection, verify.Manual: projection} {
		s := newScene(t)
		s.cfg.Mode, s.cert().exists, s.cert().stored = mode, false, gen.Validation{}
		d := s.after(0)
		require.Equal(t, []verify.Code{verify.SecretMissing}, codes(d), mode)
		assert.Equal(t, after, d.findings[0].after, mode)
	}
}

func TestThatPodsAreNotRolledIsToldOnlyWhereTheyShouldBe(t *testing.T) {
	s := newScene(t)
	s.cert().entries[0].cas = nil
	assert.NotContains(t, s.after(0).findings[0].message, "not rolled")
	s.serve(s.old)
	assert.Contains(t, s.after(0).findings[0].message, "not rolled")
}

func TestPodsAreNeverRolledToACertificateThatWouldNotDo(t *testing.T) {
	for title, tc := range map[string]struct {
		change func(s *scene)
		code   verify.Code
	}{
		"that an entry does not trust": {func(s *scene) {
			s.cert().entries = append(s.cert().entries, entry{configuration: "config", name: "another", cas: s.old.CAs})
		}, verify.SecretUntrusted},
		"while an entry has no bundle": {func(s *scene) { s.cert().entries[0].cas = nil }, verify.BundleMissing},
		"while a webhook configuration is not there": {func(s *scene) {
			s.cert().entries = append(s.cert().entries, entry{configuration: "gone", missing: true})
		}, verify.BundleMissing},
		"that is broken":    {func(s *scene) { s.cert().stored = gen.Check(gen.Bundle{}, []string{name}, now) }, verify.SecretInvalid},
		"that is not there": {func(s *scene) { s.cert().exists, s.cert().stored = false, gen.Validation{} }, verify.SecretMissing},
		"that somebody else has put there in auto mode": {func(s *scene) { s.cert().ours = false }, verify.SecretForeign},
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			s.renewed()
			tc.change(s)
			d := s.after(time.Hour)
			assert.Empty(t, d.roll)
			assert.Contains(t, codes(d), tc.code)
			if tc.code != verify.SecretMissing && tc.code != verify.SecretInvalid {
				assert.Equal(t, []verify.Code{tc.code}, d.refused, "a roll is due and refused")
			}
		})
	}
}

func TestTwoCertificatesOfADeploymentMakeOneRoll(t *testing.T) {
	s := newScene(t)
	s.renewed()
	router := certificate{Certificate: Certificate{Service: "router", Secret: "router-certs"}, exists: true, ours: true, stored: s.old}
	s.o.certificates = append(s.o.certificates, router)
	s.o.certificates[1].pods = []pod{{chain: s.old.Chain}}
	d := s.after(settle)
	assert.Equal(t, gen.Fingerprint(s.current.Leaf)+","+gen.Fingerprint(s.old.Leaf), d.roll)

	s.o.certificates[1].stored = gen.Check(gen.Bundle{}, nil, now)
	assert.Empty(t, s.after(settle).roll, "and none where one of them would not do")
}

func TestAServedCertificateThatIsNotTrustedIsFound(t *testing.T) {
	s := newScene(t)
	s.serve(s.current, s.old, s.current)
	d := s.after(time.Second)
	assert.Contains(t, codes(d), verify.Untrusted)
	assert.Contains(t, d.findings[0].message, "Pod ns/pod-1: the certificate "+short(s.old.Leaf))
}

func TestTheEndOfACertificateIsTold(t *testing.T) {
	for title, tc := range map[string]struct {
		change func(s *scene)
		at     time.Duration
		told   bool
	}{
		"not of one that the controller renews itself": {func(*scene) {}, months - time.Hour, false},
		"of one of somebody else's": {
			func(s *scene) { s.cfg.Mode, s.cert().ours = verify.Manual, false }, months - months/10 + time.Second, true,
		},
		"not before a tenth of its life is left": {
			func(s *scene) { s.cfg.Mode, s.cert().ours = verify.Manual, false }, months - months/10 - time.Hour, false,
		},
		"not before it is asked for, where that is later": {
			func(s *scene) { s.cfg.Mode, s.cert().ours, s.cfg.WarnWithin.Duration = verify.Manual, false, time.Hour }, months - 2*time.Hour, false,
		},
		"of what a pod serves, where pods are not to be rolled by us": {
			func(s *scene) { s.renewed(); s.cfg.Roll = false }, months - time.Hour, true,
		},
	} {
		t.Run(title, func(t *testing.T) {
			s := newScene(t)
			tc.change(s)
			d := s.after(tc.at)
			if tc.told {
				assert.Contains(t, codes(d), verify.ExpiresSoon)
			} else {
				assert.NotContains(t, codes(d), verify.ExpiresSoon)
			}
		})
	}
}

func TestOldCAsAreRetired(t *testing.T) {
	old := func(t *testing.T) *scene {
		s := newScene(t)
		s.renewed()
		s.serve(s.current, s.current, s.current)
		return s
	}
	t.Run("when every pod has served the current certificate for the time", func(t *testing.T) {
		s := old(t)
		d := s.after(10*time.Minute - time.Second)
		assert.Empty(t, d.retired)
		assert.InDelta(t, time.Second, d.again, float64(100*time.Millisecond))
		d = decide(s.cfg, s.o, s.m, now.Add(10*time.Minute))
		require.Len(t, d.retired, 1)
		assert.Equal(t, s.old.CAs, d.retired[0].cas)
	})
	for title, change := range map[string]func(s *scene){
		"not while a pod serves an older one":           func(s *scene) { s.serve(s.current, s.old, s.current) },
		"not while what a pod serves cannot be seen":    func(s *scene) { s.cert().pods[1].err = errors.New("refused") },
		"not while fewer pods are ready than there are": func(s *scene) { s.serve(s.current, s.current) },
		"not while no pod is there":                     func(s *scene) { s.serve() },
		"not while the Deployment is being rolled":      func(s *scene) { s.o.deployment.Status.Replicas = 4 },
		"not when it is turned off":                     func(s *scene) { s.cfg.RetireAfter.Duration = 0 },
		"not in another mode":                           func(s *scene) { s.cfg.Mode = verify.CertManager },
		"not in a Secret of somebody else's":            func(s *scene) { s.cert().ours = false },
	} {
		t.Run(title, func(t *testing.T) {
			s := old(t)
			change(s)
			assert.Empty(t, s.after(time.Hour).retired)
		})
	}
	t.Run("and the time begins anew after a moment in which one served another", func(t *testing.T) {
		s := old(t)
		decide(s.cfg, s.o, s.m, now)
		s.serve(s.current, s.old, s.current)
		decide(s.cfg, s.o, s.m, now.Add(time.Minute))
		s.serve(s.current, s.current, s.current)
		decide(s.cfg, s.o, s.m, now.Add(2*time.Minute))
		assert.Empty(t, decide(s.cfg, s.o, s.m, now.Add(11*time.Minute)).retired)
		assert.Len(t, decide(s.cfg, s.o, s.m, now.Add(12*time.Minute)).retired, 1)
	})
	t.Run("from the entries, too, when that was interrupted", func(t *testing.T) {
		s := old(t)
		s.cert().stored.CAs = s.current.CAs
		s.cert().retired[gen.Fingerprint(s.old.CAs[0])] = true
		d := s.after(0)
		require.Len(t, d.retired, 1)
		assert.Empty(t, d.retired[0].cas)

		s.serve(s.current, s.old, s.current)
		assert.Empty(t, s.after(0).retired, "but not while a pod serves one of theirs")
	})
}
