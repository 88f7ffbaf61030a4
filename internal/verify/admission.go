package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/sample"
)

// asked is a resource, by its plural, and the entries that are called when one of it is created.
type asked struct {
	resource.Resource
	entries []*entry
}

// asks are the resources that the entries are for, by the first rule of each: the chart's entries have one.
func asks(entries []*entry) []*asked {
	var found []*asked
	byName := map[resource.Resource]*asked{}
	for _, e := range entries {
		if len(e.rules) == 0 || len(e.rules[0].APIGroups) == 0 || len(e.rules[0].APIVersions) == 0 || len(e.rules[0].Resources) == 0 {
			continue
		}
		r := resource.Resource{Group: e.rules[0].APIGroups[0], Version: e.rules[0].APIVersions[0], Plural: e.rules[0].Resources[0]}
		if byName[r] == nil {
			byName[r] = &asked{Resource: r}
			found = append(found, byName[r])
		}
		byName[r].entries = append(byName[r].entries, e)
	}
	return found
}

// ask has the API server call the entries of a resource, by dry-run creates: of an object that must be admitted and of
// one that must be refused. An object that is refused where it need not be is an answer, too.
//
// Which version of Kthena has defined the kind is the schema's to say: the samples are tried in their order until one fits it.
func (v *Verifier) ask(ctx context.Context, a *asked) error {
	samples, err := v.samplesOf(ctx, a)
	if err != nil || len(samples) == 0 {
		return err
	}
	var s sample.Sample
	var answers [2]answer
	for i, candidate := range samples {
		got, err := v.askBoth(ctx, a, candidate)
		if err != nil {
			return err
		}
		if i == 0 || !got[0].invalid {
			s, answers = candidate, got
		}
		if !got[0].invalid {
			break
		}
	}
	admitted := v.admit(a, answers[0])
	if s.Invalid != nil {
		v.refuse(a, answers[1], admitted, s.MayAdmit)
	}
	return nil
}

// askBoth asks for an object with each of the specs of a sample: the valid one, and the invalid one if there is one.
func (v *Verifier) askBoth(ctx context.Context, a *asked, s sample.Sample) (answers [2]answer, err error) {
	var group errgroup.Group
	for i, spec := range []json.RawMessage{s.Valid, s.Invalid} {
		if spec == nil {
			continue
		}
		group.Go(func() (err error) {
			answers[i], err = v.create(ctx, a, s.Kind, spec)
			if err == nil && answers[i].closed() {
				answers[i], err = v.create(ctx, a, s.Kind, spec)
			}
			return err
		})
	}
	err = group.Wait()
	return answers, err
}

// samplesOf are the samples of a resource. For one that the versions of Kthena that are known do not have it is an empty object:
// whatever a webhook says to it is an answer. There are none when the API server lacks the kind.
func (v *Verifier) samplesOf(ctx context.Context, a *asked) ([]sample.Sample, error) {
	if samples := sample.Of(a.Plural); samples != nil {
		return samples, nil
	}
	kind, err := v.kindOf(ctx, a)
	if err != nil || kind == "" {
		return nil, err
	}
	return []sample.Sample{{Kind: kind, Valid: json.RawMessage("{}")}}, nil
}

// answer is what the API server made of one create.
type answer struct {
	asked bool // whether it was sent, and permitted
	// denied and failed are the names of webhooks, of this release or not: the one that refused the object, and the one
	// that could not be called, for cause.
	denied, failed, cause string
	// missing is whether the API server lacks the kind, invalid whether the object does not fit its schema.
	missing, invalid bool
	// other is why the object was refused, when it was for none of these reasons.
	other string
}

// closed reports whether the call met a connection that the server was closing. A server that ends closes what is idle, and the
// API server does not repeat a request that may have been read, so one such call says nothing of the release.
func (got answer) closed() bool {
	return slices.ContainsFunc([]string{"EOF", "server closed idle connection", "connection reset by peer"}, func(end string) bool {
		return strings.HasSuffix(got.cause, end)
	})
}

// create sends one object.
func (v *Verifier) create(ctx context.Context, a *asked, kind string, spec json.RawMessage) (answer, error) {
	o := map[string]any{
		"apiVersion": a.APIVersion(),
		"kind":       kind,
		"metadata":   map[string]string{"generateName": "kthena-certgen-verify-"},
		"spec":       spec,
	}
	err := v.API.DryRunCreate(ctx, a.Path(v.Namespace, ""), o)
	if err == nil {
		return answer{asked: true}, nil
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return answer{}, fmt.Errorf("creating one of %s in a dry run: %w", a.Plural, err)
	}
	text := err.Error()
	answered := answer{asked: true}
	switch {
	case quoted(text, "admission webhook ", " denied the request", &answered.denied):
	case quoted(text, "failed calling webhook ", "", &answered.failed):
		_, answered.cause, _ = strings.Cut(text, fmt.Sprintf("failed calling webhook %q: ", answered.failed))
		answered.cause = strings.TrimPrefix(answered.cause, "failed to call webhook: ")
	case apierrors.IsForbidden(err) && strings.Contains(text, "cannot create resource"):
		v.forbidden(err, "create", a.Plural+"."+a.Group, "")
		return answer{}, nil
	case apierrors.IsNotFound(err) && strings.HasPrefix(text, "namespaces "):
		return answer{}, fmt.Errorf("creating one of %s in a dry run: %w", a.Plural, err)
	case apierrors.IsNotFound(err):
		answered.missing = true
	case apierrors.IsInvalid(err):
		answered.invalid = true
		answered.other = text
	default:
		answered.other = text
	}
	return answered, nil
}

// quoted finds the name in quotes between two texts.
func quoted(text, before, after string, name *string) bool {
	_, rest, ok := strings.Cut(text, before+`"`)
	if !ok {
		return false
	}
	found, rest, ok := strings.Cut(rest, `"`)
	if !ok || !strings.HasPrefix(rest, after) {
		return false
	}
	*name = found
	return true
}

// admit takes note of what became of the object that must be admitted, and reports whether it was.
func (v *Verifier) admit(a *asked, got answer) bool {
	if !got.asked {
		return false
	}
	ours, rest := a.split(got)
	kind := a.Plural + "." + a.Group
	switch {
	case got.missing:
		v.find(KindMissing, "kind of "+kind, "kubectl get crd "+kind,
			"the API server does not serve %s %s, so the webhooks for it are never called: install Kthena's CRDs", a.APIVersion(), a.Plural)
	case ours != nil && got.failed != "":
		ours.failure = got.cause
	case ours != nil:
		ours.Admission = Answered
		fallthrough
	case got.invalid:
		// The object came past those that mutate.
		for _, e := range rest {
			if e.mutates && !e.ignores {
				e.Admission = Answered
			}
		}
		if ours == nil {
			v.unknown(a, got, func(e *entry) bool { return !e.mutates })
		}
	case got.denied+got.failed+got.other != "":
		v.unknown(a, got, func(*entry) bool { return true })
	default:
		for _, e := range rest {
			// Where failures are ignored, that an object is admitted says nothing.
			if !e.ignores {
				e.Admission = Answered
			}
		}
		return true
	}
	return false
}

// refuse takes note of what became of the object that must be refused, or may be admitted by a version of Kthena.
func (v *Verifier) refuse(a *asked, got answer, admitted, mayAdmit bool) {
	ours, rest := a.split(got)
	switch {
	case !got.asked || got.missing:
	case ours != nil && got.failed != "":
		ours.failure = got.cause
	case ours != nil:
		ours.Admission = Answered
		if admitted {
			ours.Admission = AnsweredBoth
		}
	case mayAdmit, got.denied+got.failed+got.other != "":
	default:
		for _, e := range rest {
			switch {
			case e.mutates:
			case e.ignores:
				v.find(
					NotEnforced, e.object(), v.logsRemedy(e.component),
					"the API server admitted an object that it must refuse, and its failurePolicy is Ignore: the call may have failed",
				)
			case e.Admission == Answered:
				v.find(NotRefused, e.object(), v.logsRemedy(e.component), "it admitted an object that Kthena v1.0.0 refuses")
			}
		}
	}
}

// split is the entry of the release that an answer is about, nil when there is none, and the others.
func (a *asked) split(got answer) (ours *entry, rest []*entry) {
	for _, e := range a.entries {
		if name := got.denied + got.failed; name == e.Name {
			ours = e
			continue
		}
		rest = append(rest, e)
	}
	return ours, rest
}

// unknown reports that something else decided before some entries were called.
func (v *Verifier) unknown(a *asked, got answer, of func(*entry) bool) {
	var names []string
	for _, e := range a.entries {
		if of(e) {
			names = append(names, e.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	why := got.other
	switch {
	case got.denied != "":
		why = fmt.Sprintf("webhook %q, which is not of this release, denied the request", got.denied)
	case got.failed != "":
		why = fmt.Sprintf("webhook %q, which is not of this release, could not be called: %s", got.failed, got.cause)
	}
	v.find(
		Unknown, "webhook "+strings.Join(names, ", "),
		"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies",
		"whether the API server can call it is not known: %s", why,
	)
}

// kindOf asks the API server for the kind of a resource, empty when it does not serve it.
func (v *Verifier) kindOf(ctx context.Context, a *asked) (string, error) {
	var served struct {
		Resources []struct {
			Name string `json:"name"`
			Kind string `json:"kind"`
		} `json:"resources"`
	}
	err := v.API.Get(ctx, a.GroupPath(), url.Values{}, &served)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("asking for the kinds of %s: %w", a.APIVersion(), err)
	}
	for _, r := range served.Resources {
		if r.Name == a.Plural {
			return r.Kind, nil
		}
	}
	v.admit(a, answer{asked: true, missing: true})
	return "", nil
}
