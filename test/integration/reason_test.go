package integration

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
	"github.com/volcano-sh/kthena-certgen/test/rig/source"
)

// reasonCase is a Secret in whatever state, and the reason that the program gives when it meets it.
type reasonCase struct {
	reason string
	// before is the Secret that is there, nil when there is none.
	before func(t *testing.T, s *site) *corev1.Secret
	// prepare is what else is done before the run, nil when nothing is.
	prepare func(t *testing.T, s *site)
	args    []string
}

// reasonCases are at least one for each reason that the program can give. Those that go on with a code are made from
// faults.
func reasonCases() map[string]reasonCase {
	cases := map[string]reasonCase{
		"no Secret":                     {reason: "created"},
		"a good one":                    {reason: "reused", before: ours(good)},
		"a good one that is immutable":  {reason: "reused", before: ours(good, immutable)},
		"a good one of somebody else":   {reason: "reused", before: foreign(good)},
		"a day of life left":            {reason: "renewed:expiring", before: ours(ofADay), args: []string{"--renew-before", "25h"}},
		"a day of life left, immutable": {reason: "renewed:expiring", before: ours(ofADay, immutable), args: []string{"--renew-before", "25h"}},
		"a day of life left, foreign":   {reason: "reused", before: foreign(ofADay), args: []string{"--renew-before", "25h"}},
		"--force-renew":                 {reason: "renewed:forced", before: ours(good), args: []string{"--force-renew"}},
		"--force-renew, foreign":        {reason: "refused:foreign-forced", before: foreign(good), args: []string{"--force-renew"}},
		"a key too many":                {reason: "repaired:keys", before: ours(good, func(o *corev1.Secret) { o.Data["more"] = []byte("x") })},
		"another type":                  {reason: "repaired:wrong-type", before: ours(good, opaque)},
		"a key missing": {
			reason: "repaired:malformed", before: ours(good, opaque, func(o *corev1.Secret) { delete(o.Data, "tls.key") }),
		},
		"a fault, immutable":              {reason: "repaired:chain", before: ours(faults[gen.Chain], immutable)},
		"a fault, immutable, no right":    {reason: "refused:immutable", before: ours(faults[gen.Chain], immutable), prepare: mayNotDelete},
		"another type, no right":          {reason: "refused:immutable", before: ours(good, opaque), prepare: mayNotDelete},
		"a good one in deletion":          {reason: "refused:terminating", before: ours(good, held), prepare: beingDeleted},
		"a good one in deletion, foreign": {reason: "refused:terminating", before: foreign(good, held), prepare: beingDeleted},
		"no room, --force-renew":          {reason: "refused:secret-full", before: ours(full), args: []string{"--force-renew"}},
		"no room, a key missing": {
			reason: "refused:secret-full", before: ours(full, opaque, func(o *corev1.Secret) { delete(o.Data, "tls.key") }),
		},
		"no room in the bundles":   {reason: "refused:bundle-full", before: ours(full)},
		"no room in them, foreign": {reason: "refused:bundle-full", before: foreign(full)},
		"a day left, immutable, no right": {
			reason: "refused:immutable", before: ours(ofADay, immutable), prepare: mayNotDelete, args: []string{"--renew-before", "25h"},
		},
	}
	for code, material := range faults {
		cases[string(code)] = reasonCase{reason: "repaired:" + string(code), before: ours(material)}
		cases[string(code)+", foreign"] = reasonCase{reason: "refused:foreign-" + string(code), before: foreign(material)}
	}
	return cases
}

func TestEveryReasonIsGivenAndExplained(t *testing.T) {
	t.Parallel()
	cases := reasonCases()
	tried := map[string]bool{}
	for _, c := range cases {
		tried[c.reason] = true
	}
	for _, reason := range reasonsOfTheCode(t) {
		assert.True(t, tried[reason], "no case produces %s", reason)
	}
	assert.ElementsMatch(t, reasonsOfTheCode(t), reasonsOfTheManual(t), "the reasons of the code, and those of the table in the manual")

	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.createConfigurations(t)
			var before *corev1.Secret
			if c.before != nil {
				var err error
				before, err = cluster.Client.CoreV1().Secrets(s.namespace).Create(t.Context(), c.before(t, s), metav1.CreateOptions{})
				require.NoError(t, err)
			}
			if c.prepare != nil {
				c.prepare(t, s)
			}
			o := s.bootstrap(t.Context(), t, c.args...)
			require.Equal(t, c.reason, o.Reason, o.stderr)
			outcome, _, _ := strings.Cut(c.reason, ":")
			assert.Equal(t, outcome, o.Outcome)
			if outcome == "refused" {
				s.requireRefusal(t, o, before)
				return
			}
			require.Equal(t, 0, o.code, o.stderr)
			s.requireTrusted(t, o)
			s.requireUnionWith(t, before)
			if outcome == "reused" {
				assert.Equal(t, before, s.storedSecret(t))
				return
			}
			stored := s.storedSecret(t)
			assert.Equal(t, corev1.SecretTypeTLS, stored.Type)
			assert.Len(t, stored.Data, 3)
			for _, file := range []string{"tls.crt", "tls.key", "ca.crt"} {
				assert.Equal(t, string(stored.Data[file]), string(o.file(t, file)))
			}
			assert.Equal(t, "reused", s.bootstrap(t.Context(), t).Reason, "it lasts")
		})
	}
}

// requireRefusal asserts that a refused run has changed nothing, and that the command it names helps.
func (s *site) requireRefusal(t *testing.T, o *outcome, before *corev1.Secret) {
	t.Helper()
	assert.Equal(t, 3, o.code)
	after := s.storedSecret(t)
	assert.Equal(t, before.Data, after.Data)
	assert.Equal(t, before.UID, after.UID)
	if o.Reason != "refused:terminating" {
		assert.Equal(t, before, after)
	}
	for _, bundle := range s.bundles(t) {
		assert.Empty(t, bundle)
	}
	entries, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
	if o.Reason == "refused:bundle-full" {
		assert.Regexp(t, `kthena-certgen: error: patching (MutatingWebhookConfiguration `+s.mutating+`|ValidatingWebhookConfiguration `+
			s.validating+`): refused:bundle-full: .+; `+
			`remove the CAs that nothing serves any more by: kubectl edit (mutating|validating)webhookconfiguration .+\n$`, o.stderr)
		return
	}
	assert.Contains(t, o.stderr, "kthena-certgen: error: ensuring secret "+s.namespace+"/"+s.secret+": "+o.Reason+": ")
	if o.Reason == "refused:terminating" {
		require.True(
			t,
			strings.HasSuffix(
				o.stderr,
				"or remove them by: kubectl patch secret --namespace "+s.namespace+" "+s.secret+
					` --type merge --patch '{"metadata":{"finalizers":null}}'`+"\n",
			),
			o.stderr,
		)
		_, err := cluster.Client.CoreV1().Secrets(s.namespace).Patch(
			t.Context(), s.secret, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{},
		)
		require.NoError(t, err)
		s.bootstrap(t.Context(), t).requireDone(t, "created")
		return
	}
	require.True(
		t, strings.HasSuffix(o.stderr, "have it made anew by: kubectl delete secret --namespace "+s.namespace+" "+s.secret+"\n"), o.stderr,
	)
	s.deleteSecret(t)
	s.bootstrap(t.Context(), t).requireDone(t, "created")
}

// requireUnionWith asserts that every CA of the Secret that was there is still trusted, by every entry and in the
// Secret, unless it has expired: a server may still run with what it signed.
func (s *site) requireUnionWith(t *testing.T, before *corev1.Secret) {
	t.Helper()
	if before == nil {
		return
	}
	old, _ := gen.ParseCertificates(before.Data["ca.crt"])
	for _, bundle := range append(s.bundles(t), s.storedSecret(t).Data["ca.crt"]) {
		live, _ := gen.ParseCertificates(bundle)
		assert.True(t, live.ContainsAll(old, time.Now()))
	}
}

// mayNotDelete takes the right to delete the Secret away, as an administrator who finds it too much does.
func mayNotDelete(t *testing.T, s *site) {
	t.Helper()
	roles := cluster.Client.RbacV1().Roles(s.namespace)
	role, err := roles.Get(t.Context(), account, metav1.GetOptions{})
	require.NoError(t, err)
	for i, rule := range role.Rules {
		role.Rules[i].Verbs = slices.DeleteFunc(rule.Verbs, func(verb string) bool { return verb == "delete" })
	}
	_, err = roles.Update(t.Context(), role, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.EventuallyWithT(
		t, func(c *assert.CollectT) { assert.False(c, s.may(t, "delete", "secrets")) }, 30*time.Second, 20*time.Millisecond,
	)
}

// ours is a Secret that the program takes for its own, with a site's material and some changes.
func ours(m material, changes ...func(*corev1.Secret)) func(*testing.T, *site) *corev1.Secret {
	return func(t *testing.T, s *site) *corev1.Secret {
		t.Helper()
		b := m(t, s)
		o := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: s.secret, Labels: map[string]string{"app.kubernetes.io/managed-by": "kthena-certgen"}},
			Type:       corev1.SecretTypeTLS,
			Data:       map[string][]byte{"ca.crt": b.CA, "tls.crt": b.Cert, "tls.key": b.Key},
		}
		for _, change := range changes {
			change(o)
		}
		return o
	}
}

// foreign is one of somebody else, of another type and with a key too many.
func foreign(m material, changes ...func(*corev1.Secret)) func(*testing.T, *site) *corev1.Secret {
	return ours(m, append(changes, opaque, func(o *corev1.Secret) { o.Labels, o.Data["more"] = nil, []byte("x") })...)
}

// held makes a Secret stay when it is deleted.
func held(o *corev1.Secret) { o.Finalizers = []string{"example.com/held"} }

func beingDeleted(t *testing.T, s *site) { s.deleteSecret(t) }

func opaque(o *corev1.Secret)    { o.Type = corev1.SecretTypeOpaque }
func immutable(o *corev1.Secret) { o.Immutable = ptr.To(true) }

// reasonsOfTheCode are the reasons that the packages secret and webhook can give: their constants whose names begin with Reason, where a
// colon or a hyphen at the end goes on with each code of package gen.
func reasonsOfTheCode(t *testing.T) []string {
	t.Helper()
	codes, err := source.Constants("../../pkg/gen")
	require.NoError(t, err)
	constants, err := source.Constants("../../pkg/secret")
	require.NoError(t, err)
	more, err := source.Constants("../../pkg/webhook")
	require.NoError(t, err)
	var reasons []string
	for _, reason := range append(constants, more...) {
		switch {
		case !strings.HasPrefix(reason.Name, "Reason"):
		case !strings.HasSuffix(reason.Value, ":") && !strings.HasSuffix(reason.Value, "-"):
			reasons = append(reasons, reason.Value)
		default:
			for _, code := range codes {
				if code.Type == "FaultCode" {
					reasons = append(reasons, reason.Value+code.Value)
				}
			}
		}
	}
	require.NotEmpty(t, reasons)
	return reasons
}

// reasonsOfTheManual are the reasons that have a line in the manual.
func reasonsOfTheManual(t *testing.T) []string {
	t.Helper()
	manual, err := os.ReadFile("../../docs/reference.md")
	require.NoError(t, err)
	return markdown.FirstColumn(string(manual), "## Reason codes")
}
