package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

func TestAGoodReleaseHasNoFindings(t *testing.T) {
	r, _ := newRelease(t)
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	assert.Equal(t, VerdictOK, report.Verdict)
	assert.Equal(t, Auto, report.Mode)
	require.Len(t, report.Webhooks, 1)
	assert.Equal(t, AnsweredBoth, report.Webhooks[0].Admission)
	assert.Equal(t, now.Add(1000*time.Hour), *report.Webhooks[0].NotAfter)
	require.Len(t, report.Servers, 1)
	assert.Equal(t, "certs", report.Servers[0].Secret.Name)
	assert.Equal(t, report.Servers[0].Secret.Certificate, report.Servers[0].Endpoints[0].Certificate)
}

// Each case breaks the good release in one way.
func TestFindings(t *testing.T) {
	const entry = "webhook check.example.com of ValidatingWebhookConfiguration config"
	type broken = func(*release, *admissionv1.ValidatingWebhook)
	for name, c := range map[string]struct {
		broken broken
		want   []string // code and object
		says   string
	}{
		"an entry without a bundle": {
			func(_ *release, w *admissionv1.ValidatingWebhook) { w.ClientConfig.CABundle = nil },
			[]string{"bundle-missing " + entry}, "it has no caBundle, so the API server does not trust Service hook",
		},
		"an entry with a bundle that cannot be read": {
			func(_ *release, w *admissionv1.ValidatingWebhook) { w.ClientConfig.CABundle = []byte("x") },
			[]string{"bundle-malformed " + entry}, "its caBundle holds no certificate that can be read",
		},
		"a bundle with something in it that cannot be read": {
			func(_ *release, w *admissionv1.ValidatingWebhook) {
				w.ClientConfig.CABundle = append(w.ClientConfig.CABundle, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...)
			},
			[]string{"bundle-odd " + entry}, "its caBundle holds 1 certificates that cannot be read beside 1 that can",
		},
		"a bundle that begins with a byte order mark": {
			func(_ *release, w *admissionv1.ValidatingWebhook) {
				w.ClientConfig.CABundle = append([]byte("\ufeff"), w.ClientConfig.CABundle...)
			},
			[]string{"bundle-malformed " + entry},
			"its caBundle holds no certificate that can be read: a UTF-8 byte order mark stands before a BEGIN line: save it without one",
		},
		"a bundle of which one is indented": {
			func(_ *release, w *admissionv1.ValidatingWebhook) {
				w.ClientConfig.CABundle = append(append(w.ClientConfig.CABundle, "  "...), w.ClientConfig.CABundle...)
			},
			[]string{"bundle-odd " + entry},
			"its caBundle holds more certificates than the 1 that the API server reads: a BEGIN line does not stand",
		},
		"a bundle of another CA": {
			func(_ *release, w *admissionv1.ValidatingWebhook) { w.ClientConfig.CABundle = made(t, "x").CA },
			[]string{"untrusted " + entry}, " that Service hook serves from Secret certs",
		},
		"a server without TLS": {
			func(r *release, _ *admissionv1.ValidatingWebhook) { r.serves = nil },
			[]string{"not-tls Pod ns/pod"}, "port 8443 does not speak TLS (its answer is not TLS), and it is behind Service hook",
		},
		"a server that serves another certificate of a CA that is trusted": {
			func(r *release, w *admissionv1.ValidatingWebhook) {
				b := made(t, "hook.ns.svc")
				r.serves = &b
				w.ClientConfig.CABundle = append(w.ClientConfig.CABundle, b.CA...)
			},
			[]string{"stale Deployment ns/server"}, "1 of 1 ready pods behind Service hook serve another certificate (",
		},
		"no Deployment": {
			func(r *release, _ *admissionv1.ValidatingWebhook) { delete(r.objects, deploymentPath) },
			[]string{"deployment-missing Deployment ns/server"}, "it does not exist, and nothing serves hook",
		},
		"no Secret": {
			func(r *release, _ *admissionv1.ValidatingWebhook) { delete(r.objects, secretPath) },
			[]string{"secret-missing Secret ns/certs"}, "it does not exist, and the pods of server get their certificate from it",
		},
		"no Service": {
			func(r *release, _ *admissionv1.ValidatingWebhook) { delete(r.objects, servicePath) },
			[]string{"service-missing Service ns/hook"}, "it does not exist, and is called by check.example.com",
		},
		"an API server that cannot call the webhook": {
			func(r *release, _ *admissionv1.ValidatingWebhook) {
				r.created = func(string, bool) error { return failed("check.example.com", "no review") }
			},
			[]string{"call-failed " + entry}, "the API server cannot call it at Service hook: no review",
		},
		"an API server that cannot reach the webhook": {
			func(r *release, _ *admissionv1.ValidatingWebhook) {
				r.created = func(string, bool) error { return failed("check.example.com", "dial tcp 10.0.0.1:443: i/o timeout") }
			},
			[]string{"call-failed " + entry}, "so a network policy or a firewall may be between them: dial tcp",
		},
		"a failed call that the certificate explains": {
			func(r *release, w *admissionv1.ValidatingWebhook) {
				w.ClientConfig.CABundle = nil
				r.created = func(string, bool) error { return failed("check.example.com", "x509: whatever") }
			},
			[]string{"bundle-missing " + entry}, "it has no caBundle",
		},
		"a webhook that refuses nothing": {
			func(r *release, _ *admissionv1.ValidatingWebhook) {
				r.created = func(string, bool) error { return nil }
			},
			[]string{"not-refused " + entry}, "it admitted an object that Kthena v1.0.0 refuses",
		},
		"a webhook that refuses nothing and may fail": {
			func(r *release, w *admissionv1.ValidatingWebhook) {
				w.FailurePolicy = ptr.To(admissionv1.Ignore)
				r.created = func(string, bool) error { return nil }
			},
			[]string{"not-enforced " + entry}, "its failurePolicy is Ignore: the call may have failed",
		},
		"somebody else's webhook that refuses": {
			func(r *release, _ *admissionv1.ValidatingWebhook) {
				r.created = func(string, bool) error { return denied("other.example.com") }
			},
			[]string{"unknown webhook check.example.com"}, `webhook "other.example.com", which is not of this release, denied the request`,
		},
		"a schema that the object does not fit": {
			func(r *release, _ *admissionv1.ValidatingWebhook) {
				r.created = func(string, bool) error {
					return apierrors.NewInvalid(schema.GroupKind{Kind: "ModelServing"}, "x", nil)
				}
			},
			[]string{"unknown webhook check.example.com"}, `whether the API server can call it is not known: ModelServing "x" is invalid`,
		},
		"an API server without the kind": {
			func(r *release, _ *admissionv1.ValidatingWebhook) {
				r.created = func(string, bool) error {
					return apierrors.NewGenericServerResponse(404, "POST", schema.GroupResource{}, "", "", 0, true)
				}
			},
			[]string{"kind-missing kind of modelservings.workload.serving.volcano.sh"}, "install Kthena's CRDs",
		},
		"a clock that is ahead": {
			func(r *release, _ *admissionv1.ValidatingWebhook) { r.ahead = 2000 * time.Hour },
			[]string{"clock-skew this machine"}, "its clock is 2000h0m0s ahead of the API server's",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, hook := newRelease(t)
			c.broken(r, hook)
			report, err := r.verify(t)
			require.NoError(t, err)
			var got []string
			for _, f := range report.Findings {
				got = append(got, string(f.Code)+" "+f.Object)
				assert.Contains(t, f.Message, c.says)
				assert.Equal(t, describe(f.Code).Severity, f.Severity)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TLS servers take a PEM block that has headers, of which sets of CAs hold nothing.
func TestTheChainOfASecretIsWhatAServerReadsOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		trusted bool
		want    []string
	}{
		"whose CA is trusted":     {true, []string{"stale Deployment ns/server"}},
		"whose CA is not trusted": {false, []string{"secret-untrusted Secret ns/certs"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, hook := newRelease(t)
			configuration := r.objects[webhooksPath].(map[string]any)["items"].([]any)[0].(map[string]any)
			configuration["metadata"].(map[string]any)["annotations"] = nil // so the mode is manual
			b := made(t, "hook.ns.svc")
			cert := bytes.Replace(b.Cert, []byte("-----\n"), []byte("-----\nOrigin: somewhere\n\n"), 1)
			r.objects[secretPath].(map[string]any)["data"] = map[string][]byte{"tls.crt": cert, "tls.key": b.Key, "ca.crt": b.CA}
			if c.trusted {
				hook.ClientConfig.CABundle = append(hook.ClientConfig.CABundle, b.CA...)
			}
			report, err := r.verify(t)
			require.NoError(t, err)
			var got []string
			for _, f := range report.Findings {
				got = append(got, string(f.Code)+" "+f.Object)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestAWebhookThatRefusesWhatItNeedNotRefuseHasAnswered(t *testing.T) {
	r, _ := newRelease(t)
	r.created = func(string, bool) error { return denied("check.example.com") }
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	assert.Equal(t, Answered, report.Webhooks[0].Admission)
}

// The versions of Kthena differ in what the schema of a kind takes, and in what its webhook refuses.
func TestTheSampleIsOfTheVersionWhoseSchemaIsServed(t *testing.T) {
	admitsAll := func(string, bool) error { return nil }
	for name, c := range map[string]struct {
		resource, wants string
		created         func(string, bool) error // nil: refuses what is invalid
		ignores         bool
		want            []string
		admission       Admission
	}{
		"a ModelBooster of Kthena v1.0.0": {
			resource: "modelboosters", wants: `"replicas":1,"workers"`, admission: AnsweredBoth,
		},
		"a ModelBooster of Kthena v1.0.0 that is always admitted": {
			resource: "modelboosters", wants: `"replicas":1,"workers"`, created: admitsAll, want: []string{"not-refused"}, admission: Answered,
		},
		"a ModelBooster of Kthena v0.4": {
			resource: "modelboosters", wants: `"maxReplicas":1,"workers"`, admission: AnsweredBoth,
		},
		"a ModelBooster of Kthena v0.4 that is always admitted": {
			resource: "modelboosters", wants: `"maxReplicas":1,"workers"`, created: admitsAll, admission: Answered,
		},
		"a ModelBooster of no version that is known": {
			resource: "modelboosters", wants: `"size":1`, want: []string{"unknown"}, admission: NotAsked,
		},
		"an AutoscalingPolicy of Kthena v0.4": {
			resource: "autoscalingpolicies", wants: `"metricName"`, created: admitsAll, admission: Answered,
		},
		"a ModelServer of Kthena v1.0.0, which admits every one": {resource: "modelservers", created: admitsAll, admission: Answered},
		"a ModelServer of a later version":                       {resource: "modelservers", admission: AnsweredBoth},
		"a ModelServer of Kthena v1.0.0 whose call may fail": {
			resource: "modelservers", created: admitsAll, ignores: true, admission: NotAsked,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, hook := newRelease(t)
			hook.Rules[0].Resources = []string{c.resource}
			if c.ignores {
				hook.FailurePolicy = ptr.To(admissionv1.Ignore)
			}
			r.wants = c.wants
			if c.created != nil {
				r.created = c.created
			}
			report, err := r.verify(t)
			require.NoError(t, err)
			var got []string
			for _, f := range report.Findings {
				got = append(got, string(f.Code))
			}
			assert.Equal(t, c.want, got, "%v", report.Findings)
			assert.Equal(t, c.admission, report.Webhooks[0].Admission)
		})
	}
}

func TestManyStalePodsAreOneFinding(t *testing.T) {
	old, other := made(t, "hook.ns.svc"), made(t, "hook.ns.svc")
	r, hook := newRelease(t)
	hook.ClientConfig.CABundle = slices.Concat(hook.ClientConfig.CABundle, old.CA, other.CA)
	var endpoints []any
	for i := range 12 {
		endpoints = append(endpoints, map[string]any{
			"addresses": []string{"10.0.0.1"}, "targetRef": map[string]string{"kind": "Pod", "name": fmt.Sprintf("pod-%02d", i)},
		})
	}
	r.objects[slicesPath] = map[string]any{"items": []any{map[string]any{
		"ports": []any{map[string]any{"name": "webhook", "port": 8443}}, "endpoints": endpoints,
	}}}
	current := r.serves
	r.servesAt = func(pod string) *gen.Bundle {
		switch {
		case pod == "pod-03":
			return current
		case pod < "pod-06":
			return &old
		}
		return &other
	}
	report, err := r.verify(t)
	require.NoError(t, err)
	require.Len(t, report.Findings, 1)
	certs := []string{fingerprintOf(t, old), fingerprintOf(t, other)}
	slices.Sort(certs)
	assert.Equal(t, "stale: Deployment ns/server: 11 of 12 ready pods behind Service hook serve another certificate ("+
		strings.Join(certs, ", ")+
		") than Secret certs holds ("+fingerprintOf(t, *current)+"), since they started before it changed: "+
		"pod-00, pod-01, pod-02, pod-04, pod-05, pod-06, pod-07, pod-08, pod-09, pod-10 and 1 more; "+
		"kubectl rollout restart --namespace ns deployment/server", report.Findings[0].String())

	server := r.objects[deploymentPath].(json.RawMessage)
	r.objects[deploymentPath] = json.RawMessage(
		strings.Replace(string(server), "{", `{"metadata":{"annotations":{"`+annotationController+`":"roller"}},`, 1),
	)
	r.objects["/apis/apps/v1/namespaces/ns/deployments/roller"] = json.RawMessage(`{"status":{"availableReplicas":1}}`)
	report, err = r.verify(t)
	require.NoError(t, err)
	require.Len(t, report.Findings, 1)
	assert.Contains(
		t, report.Findings[0].Message,
		"and 1 more; controller roller rolls them as soon as it may; where it may not, an Event on the Secret says why",
	)
}

func TestASecretThatIsHeldInDeletionIsFound(t *testing.T) {
	r, _ := newRelease(t)
	meta := r.objects[secretPath].(map[string]any)["metadata"].(map[string]any)
	meta["deletionTimestamp"] = "2026-11-24T00:00:00Z"
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Empty(t, report.Findings, "without finalizers it is gone in a moment")
	meta["finalizers"] = []string{"example.com/a", "example.com/b"}
	report, err = r.verify(t)
	require.NoError(t, err)
	require.Len(t, report.Findings, 1)
	assert.Equal(t, "secret-terminating: Secret ns/certs: it is being deleted since 2026-11-24T00:00:00Z, and its finalizers "+
		"example.com/a, example.com/b hold it: "+
		"a pod of server that starts waits for it to go; kubectl patch secret --namespace ns certs --type merge --patch "+
		"'{\"metadata\":{\"finalizers\":null}}'", report.Findings[0].String())
	assert.Equal(t, VerdictBroken, report.Verdict)
}

// fingerprintOf is the short form of that of a bundle's certificate.
func fingerprintOf(t *testing.T, b gen.Bundle) string {
	t.Helper()
	chain, _ := gen.ParseCertificates(b.Cert)
	require.NotEmpty(t, chain)
	return short(chain[0])
}

func TestRightsThatAreMissingAreListed(t *testing.T) {
	r, _ := newRelease(t)
	r.errors[secretPath] = forbidden("secrets", "no")
	r.errors[slicesPath] = forbidden("endpointslices", "no")
	r.created = func(string, bool) error {
		return forbidden("modelservings", `User "u" cannot create resource "modelservings"`)
	}
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	assert.Equal(
		t, []string{"create modelservings.workload.serving.volcano.sh", "get secrets certs", "list endpointslices"}, report.MissingRights,
	)
}

func TestErrorsEndTheRun(t *testing.T) {
	t.Run("when the API server does not answer", func(t *testing.T) {
		r, _ := newRelease(t)
		r.errors[secretPath] = errors.New("connection refused")
		_, err := r.verify(t)
		assert.EqualError(t, err, "getting secrets ns/certs: connection refused")
	})
	t.Run("when there is nothing to verify", func(t *testing.T) {
		r, _ := newRelease(t)
		r.objects[webhooksPath] = map[string]any{}
		_, err := r.verify(t)
		assert.ErrorIs(t, err, ErrNothing)
	})
}

func TestOutcomeOf(t *testing.T) {
	b := made(t, "a.ns.svc")
	chain, _ := gen.ParseCertificates(b.Cert)
	cas, _ := gen.ParseCertificates(b.CA)
	others, _ := gen.ParseCertificates(made(t, "b").CA)
	ends := now.Add(1000 * time.Hour)
	assert.Equal(t, Outcome{NotAfter: ends}, OutcomeOf(chain, append(others, cas...), "a.ns.svc", now))
	assert.Equal(t, Outcome{Code: Untrusted, Detail: "was signed by no CA that is trusted"}, OutcomeOf(chain, others, "a.ns.svc", now))
	assert.Equal(t, Outcome{Code: WrongName, Detail: "is for a.ns.svc, not for b.ns.svc"}, OutcomeOf(chain, cas, "b.ns.svc", now))
	assert.Equal(
		t, Outcome{Code: Expired, Detail: "expired on 2027-01-05T00:30:00Z"}, OutcomeOf(chain, cas, "a.ns.svc", ends.Add(time.Second)),
	)
	assert.Equal(
		t, Outcome{Code: NotYetValid, Detail: "is valid from 2026-11-24T07:30:00Z only"},
		OutcomeOf(chain, cas, "a.ns.svc", now.Add(-2*time.Hour)),
	)
}

func TestACertificateExpiresSoonInATenthOfItsLifeOrThirtyDays(t *testing.T) {
	b := made(t, "a")
	leaf, _ := gen.ParseCertificates(b.Cert)
	r, _ := newRelease(t)
	for _, c := range []struct {
		within, left time.Duration
		want         bool
	}{
		{0, 101 * time.Hour, false},
		{0, 99 * time.Hour, true},
		{time.Hour, 99 * time.Hour, false},
		{200 * time.Hour, 101 * time.Hour, true},
	} {
		v := &Verifier{API: r, WarnWithin: c.within, Now: func() time.Time { return leaf[0].NotAfter.Add(-c.left) }}
		assert.Equal(t, c.want, v.soon(leaf[0], leaf[0].NotAfter), "%+v", c)
	}
}

func TestBundleManagersOwnTheBundleOfTheEntry(t *testing.T) {
	m := metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:webhooks":{"k:{\"name\":\"a\"}":{"f:clientConfig":{"f:service":{}}}}}`)},
		{Manager: "kthena-certgen", FieldsV1: metav1.NewFieldsV1(`{"f:webhooks":{"k:{\"name\":\"a\"}":{"f:clientConfig":{"f:caBundle":{}}}}}`)},
	}}
	assert.Equal(t, []string{"kthena-certgen"}, bundleManagers(m, "a"))
	assert.Empty(t, bundleManagers(m, "b"))
}

func TestEveryCodeIsDescribedOnce(t *testing.T) {
	source, err := os.ReadFile("codes.go")
	require.NoError(t, err)
	var constants []Code
	for _, m := range regexp.MustCompile(`(?m)Code += "([a-z-]+)"$|Code = "([a-z-]+)"$`).FindAllStringSubmatch(string(source), -1) {
		constants = append(constants, Code(m[1]+m[2]))
	}
	require.Len(t, constants, len(Codes))
	for i, d := range Codes {
		assert.Len(t, slices.DeleteFunc(slices.Clone(Codes), func(o Description) bool { return o.Code != d.Code }), 1, "%s", d.Code)
		assert.Contains(t, constants, d.Code)
		assert.NotEmpty(t, d.Meaning, "%s", d.Code)
		assert.NotEmpty(t, d.Remedy, "%s", d.Code)
		if i > 0 {
			assert.LessOrEqual(
				t, slices.Index(severities, Codes[i-1].Severity), slices.Index(severities, d.Severity), "the gravest first: %s", d.Code,
			)
		}
	}
}

func TestTable(t *testing.T) {
	ends := now
	r := Report{
		Release: "r", Namespace: "ns", Mode: Auto, Verdict: VerdictBroken,
		Webhooks: []Webhook{{Name: "check.example.com", Server: "hook", NotAfter: &ends, Admission: AnsweredBoth}},
		Servers: []Server{
			{Name: "hook", Endpoints: []Endpoint{{}}, Secret: Secret{Name: "certs", Origin: "kthena-certgen"}},
			{Name: "kthena-router"},
		},
		Findings:      []Finding{{Code: Stale, Severity: Notice, Object: "Deployment ns/d", Message: "it is old", Remedy: "kubectl x"}},
		MissingRights: []string{"get secrets y"},
	}
	const want = `WEBHOOK            SERVICE        READY  TRUSTED UNTIL  SECRET  MADE BY         ADMISSION
check.example.com  hook           1      2026-11-24     certs   kthena-certgen  admits and refuses
(router)           kthena-router  0      -              -       -               -

notice stale: Deployment ns/d: it is old
  kubectl x

Release r in namespace ns, mode auto: broken; not all could be seen: get secrets y
`
	assert.Equal(t, want, string(r.Table(false)))
	assert.Contains(t, string(r.Table(true)), "\x1b[33mnotice\x1b[0m stale: ")
}

// An ending server closes idle connections, and whatever is sent into one is lost, whatever the certificate.
func TestOneCallThatMeetsAClosingConnectionSaysNothing(t *testing.T) {
	t.Parallel()
	for _, cause := range []string{"EOF", "http: server closed idle connection", "read: connection reset by peer"} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			lost := failed("check.example.com", `Post "https://hook.ns.svc:443/": `+cause)
			r, _ := newRelease(t)
			next := r.created
			var once sync.Once
			r.created = func(path string, invalid bool) (err error) {
				once.Do(func() { err = lost })
				if err == nil {
					err = next(path, invalid)
				}
				return err
			}
			report, err := r.verify(t)
			require.NoError(t, err)
			assert.Empty(t, report.Findings)

			r, _ = newRelease(t)
			r.created = func(string, bool) error { return lost }
			report, err = r.verify(t)
			require.NoError(t, err)
			assert.NotEmpty(t, report.Findings, "two in a row do")
		})
	}
}
