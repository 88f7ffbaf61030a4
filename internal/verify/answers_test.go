package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// chain has the API server call five webhooks for one resource: two that mutate and two that validate, the second of which
// may fail, and one more that validates.
func chain(t *testing.T) *release {
	t.Helper()
	r, hook := newRelease(t)
	named := func(name string, policy admissionv1.FailurePolicyType) any {
		w := hook.DeepCopy()
		w.Name, w.FailurePolicy = name, ptr.To(policy)
		return w
	}
	configuration := r.objects[webhooksPath].(map[string]any)["items"].([]any)[0].(map[string]any)
	list := func(webhooks ...any) any {
		return map[string]any{"items": []any{map[string]any{"metadata": configuration["metadata"], "webhooks": webhooks}}}
	}
	r.objects[strings.Replace(webhooksPath, "validating", "mutating", 1)] = list(
		named("mutates", admissionv1.Fail), named("may-mutate", admissionv1.Ignore),
	)
	r.objects[webhooksPath] = list(
		named("validates", admissionv1.Fail), named("may-validate", admissionv1.Ignore), named("validates-too", admissionv1.Fail),
	)
	return r
}

func TestWhatAnAnswerSaysOfEachWebhook(t *testing.T) {
	t.Parallel()
	admits := func() error { return nil }
	invalid := func() error { return apierrors.NewInvalid(schema.GroupKind{Kind: "ModelServing"}, "x", nil) }
	missing := func() error {
		return apierrors.NewGenericServerResponse(404, "POST", schema.GroupResource{}, "", "", 0, true)
	}
	by := func(name string) func() error { return func() error { return denied(name) } }
	not := func(name string) func() error {
		return func() error { return failed(name, "no review") }
	}
	for name, c := range map[string]struct {
		valid, invalid func() error
		// want is the outcome for mutates, may-mutate, validates, may-validate and validates-too.
		want     []Admission
		findings []string // code and object
	}{
		"both are answered": {
			admits, by("validates"),
			[]Admission{Answered, NotAsked, AnsweredBoth, NotAsked, Answered}, nil,
		},
		"both are admitted": {
			admits, admits,
			[]Admission{Answered, NotAsked, Answered, NotAsked, Answered},
			[]string{"not-enforced may-validate", "not-refused validates", "not-refused validates-too"},
		},
		"a webhook that mutates refuses both": {
			by("mutates"), by("mutates"),
			[]Admission{Answered, NotAsked, NotAsked, NotAsked, NotAsked}, nil,
		},
		"a webhook that validates refuses both": {
			by("validates"), by("validates"),
			[]Admission{Answered, NotAsked, Answered, NotAsked, NotAsked}, nil,
		},
		"a webhook that validates is not reached": {
			not("validates"), not("validates"),
			[]Admission{NotAsked, NotAsked, Failed, NotAsked, NotAsked}, []string{"call-failed validates"},
		},
		"a webhook that validates is not reached the second time": {
			admits, not("validates"),
			[]Admission{Answered, NotAsked, Failed, NotAsked, Answered}, []string{"call-failed validates"},
		},
		"the schema refuses both": {
			invalid, invalid,
			[]Admission{Answered, NotAsked, NotAsked, NotAsked, NotAsked}, []string{"unknown webhook validates, may-validate, validates-too"},
		},
		"somebody else's webhook refuses both": {
			by("other"), by("other"),
			[]Admission{NotAsked, NotAsked, NotAsked, NotAsked, NotAsked}, []string{
				"unknown webhook mutates, may-mutate, validates, may-validate, validates-too",
			},
		},
		"somebody else's webhook refuses what is invalid": {
			admits, by("other"),
			[]Admission{Answered, NotAsked, Answered, NotAsked, Answered}, nil,
		},
		"the API server lacks the kind": {
			missing, missing,
			[]Admission{NotAsked, NotAsked, NotAsked, NotAsked, NotAsked}, []string{"kind-missing kind"},
		},
		"the second may not be created": {
			admits, func() error { return forbidden("modelservings", `User "u" cannot create resource "modelservings"`) },
			[]Admission{Answered, NotAsked, Answered, NotAsked, Answered}, nil,
		},
		"somebody else's webhook cannot be called": {
			not("other"), not("other"),
			[]Admission{NotAsked, NotAsked, NotAsked, NotAsked, NotAsked}, []string{
				"unknown webhook mutates, may-mutate, validates, may-validate, validates-too",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := chain(t)
			r.created = func(_ string, isInvalid bool) error {
				if isInvalid {
					return c.invalid()
				}
				return c.valid()
			}
			report, err := r.verify(t)
			require.NoError(t, err)
			var got []Admission
			for _, w := range report.Webhooks {
				got = append(got, w.Admission)
			}
			assert.Equal(t, c.want, got)
			var findings []string
			for _, f := range report.Findings {
				object, _, _ := strings.Cut(f.Object, " of ")
				if f.Code != Unknown {
					object = strings.TrimPrefix(object, "webhook ")
				}
				findings = append(findings, string(f.Code)+" "+object)
			}
			assert.ElementsMatch(t, c.findings, findings)
		})
	}
}

func TestWhySomethingIsNotKnownIsSaid(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		`webhook "other", which is not of this release, denied the request`:             denied("other"),
		`webhook "other", which is not of this release, could not be called: no review`: failed("other", "no review"),
		`quota exceeded`: apierrors.NewBadRequest("quota exceeded"),
	} {
		r, _ := newRelease(t)
		r.created = func(string, bool) error { return err }
		report, err := r.verify(t)
		require.NoError(t, err)
		require.Len(t, report.Findings, 1)
		assert.Equal(t, "whether the API server can call it is not known: "+want, report.Findings[0].Message)
	}
}

func TestAnErrorThatIsNoAnswerEndsTheRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no API server": {
			errors.New("connection refused"), "creating one of modelservings in a dry run: connection refused",
		},
		"no namespace, which is no missing kind": {
			apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "ns"),
			`creating one of modelservings in a dry run: namespaces "ns" not found`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRelease(t)
			r.created = func(string, bool) error { return c.err }
			_, err := r.verify(t)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestARefusalThatIsNoMissingRightIsAnAnswer(t *testing.T) {
	t.Parallel()
	r, _ := newRelease(t)
	r.created = func(string, bool) error { return forbidden("modelservings", "exceeded quota") }
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Empty(t, report.MissingRights)
	require.Len(t, report.Findings, 1)
	assert.Equal(t, Unknown, report.Findings[0].Code)
}

// recorder remembers what is created.
type recorder struct {
	*release
	all []string
}

func (r *recorder) DryRunCreate(ctx context.Context, path string, o any) error {
	object := o.(map[string]any)
	r.all = append(r.all, fmt.Sprint(path, " ", object["apiVersion"], " ", object["kind"]))
	return r.release.DryRunCreate(ctx, path, o)
}

func TestAResourceOfAnotherVersionIsAskedForByItsKind(t *testing.T) {
	t.Parallel()
	newThings := func(t *testing.T) *release {
		r, hook := newRelease(t)
		hook.Rules[0].APIGroups, hook.Rules[0].APIVersions, hook.Rules[0].Resources = []string{"example.com"}, []string{"v1"}, []string{"things"}
		return r
	}
	t.Run("when the API server serves it", func(t *testing.T) {
		t.Parallel()
		r := newThings(t)
		r.objects["/apis/example.com/v1"] = json.RawMessage(`{"resources":[{"name":"others","kind":"Other"},{"name":"things","kind":"Thing"}]}`)
		r.created = func(string, bool) error { return denied("check.example.com") }
		asked := &recorder{release: r}
		v := &Verifier{API: asked, Dialer: r, Release: "r", Namespace: "ns", Now: func() time.Time { return now }}
		report, err := v.Run(t.Context())
		require.NoError(t, err)
		assert.Empty(t, report.Findings)
		assert.Equal(t, Answered, report.Webhooks[0].Admission)
		assert.Equal(t, []string{"/apis/example.com/v1/namespaces/ns/things example.com/v1 Thing"}, asked.all, "it is asked once")
	})
	t.Run("when the API server does not serve it", func(t *testing.T) {
		t.Parallel()
		r := newThings(t)
		report, err := r.verify(t)
		require.NoError(t, err)
		require.Len(t, report.Findings, 1)
		assert.Equal(t, "kind-missing: kind of things.example.com: the API server does not serve example.com/v1 things, so the webhooks for "+
			"it are never called: "+
			"install Kthena's CRDs; kubectl get crd things.example.com", report.Findings[0].String())
	})
	t.Run("when it cannot be asked", func(t *testing.T) {
		t.Parallel()
		r := newThings(t)
		r.errors["/apis/example.com/v1"] = errors.New("connection refused")
		_, err := r.verify(t)
		require.EqualError(t, err, "asking for the kinds of example.com/v1: connection refused")
	})
}

func TestAnEntryWithoutAWholeRuleIsNotAskedAndTheOthersAre(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*admissionv1.ValidatingWebhook){
		"without a rule":     func(w *admissionv1.ValidatingWebhook) { w.Rules = nil },
		"without a group":    func(w *admissionv1.ValidatingWebhook) { w.Rules[0].APIGroups = nil },
		"without a version":  func(w *admissionv1.ValidatingWebhook) { w.Rules[0].APIVersions = nil },
		"without a resource": func(w *admissionv1.ValidatingWebhook) { w.Rules[0].Resources = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, hook := newRelease(t)
			other := hook.DeepCopy()
			other.Name = "other.example.com"
			change(other)
			items := r.objects[webhooksPath].(map[string]any)["items"].([]any)
			items[0].(map[string]any)["webhooks"] = []any{other, hook}
			report, err := r.verify(t)
			require.NoError(t, err)
			assert.Empty(t, report.Findings)
			assert.Equal(t, NotAsked, report.Webhooks[0].Admission)
			assert.Equal(t, AnsweredBoth, report.Webhooks[1].Admission)
		})
	}
}

func TestANameIsFoundBetweenTwoTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`a webhook "x" denied the request: no`: "x",
		`webhook "x" was called`:               "",
		`webhook "x denied the request`:        "",
		`webhook x denied the request`:         "",
	} {
		name := ""
		assert.Equal(t, want != "", quoted(text, "webhook ", " denied the request", &name), text)
		assert.Equal(t, want, name)
	}
}

func TestTheWordsOfACallThatWasNotReached(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"dial tcp 10.0.0.1:443: connect: connection refused": true,
		"proxy error from 127.0.0.1":                         true,
		"Post \"https://hook\": EOF":                         true,
		"x509: certificate signed by unknown authority":      false,
		"": false,
	} {
		assert.Equal(t, want, unreached(text), text)
	}
}
