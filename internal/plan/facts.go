package plan

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// facts are what is found out about a release.
type facts struct {
	api    verify.API
	report verify.Report
	wanted Wanted
	helm   helmRelease
	// controller says that the release has one.
	controller bool

	found, refused, notes []string
	// resetSecrets are settings of names of Secrets that a switch to cert-manager must not take over.
	resetSecrets []string
	// overwritten are Secrets of users that cert-manager replaces the content of.
	overwritten []string
}

// object is one of any kind.
type object struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Data     map[string][]byte `json:"data"`
	Status   struct {
		Conditions []struct{ Type, Status, Message string }
	} `json:"status"`
}

type list struct {
	Items []object `json:"items"`
}

// Make looks at the release that v verifies, and says what the switch takes.
func Make(ctx context.Context, v *verify.Verifier, wanted Wanted) (Plan, error) {
	report, err := v.Run(ctx)
	if err != nil {
		return Plan{}, err
	}
	f := &facts{api: v.API, report: report, wanted: wanted}
	for _, right := range report.MissingRights {
		f.notes = append(f.notes, "not everything could be seen, for want of the right to "+right)
	}
	if err := f.lookAtHelm(ctx); err != nil {
		return Plan{}, err
	}
	look := map[string]func(context.Context) error{verify.Manual: f.lookAtSecrets, verify.CertManager: f.lookAtCertManager}[wanted.Mode]
	if look != nil && (wanted.Mode != report.Mode || wanted.Mode == verify.Manual) {
		if err := look(ctx); err != nil {
			return Plan{}, err
		}
	}
	var o object
	if f.controller, err = f.get(ctx, resource.Deployments.Path(report.Namespace, "kthena-certgen"), nil, &o); err != nil {
		return Plan{}, err
	}
	f.describe()
	return f.plan(), nil
}

// describe says what else the plan depends on.
func (f *facts) describe() {
	if f.controller {
		f.found = append(f.found, "the controller is on: it rolls the pods to what is renewed")
	} else {
		f.found = append(f.found, "the controller is off: after a renewal the pods have to be restarted")
	}
	owners := map[string]bool{}
	for _, w := range f.report.Webhooks {
		for _, m := range w.BundleManagers {
			owners[m] = true
		}
	}
	var names []string
	for m := range owners {
		names = append(names, m)
	}
	slices.Sort(names)
	if len(names) > 0 {
		f.found = append(f.found, "the bundles belong to "+strings.Join(names, ", "))
	}
	for _, s := range f.report.Servers {
		if s.Secret.Name != "" {
			f.found = append(f.found, "Service "+s.Name+" serves from Secret "+s.Secret.Name+madeBy(s.Secret.Origin))
		}
	}
}

func madeBy(origin string) string {
	if origin == "" {
		return ""
	}
	return ", made by " + origin
}

// get reads an object and reports whether it is there. What is forbidden is noted and counts as unknown.
func (f *facts) get(ctx context.Context, path string, query url.Values, o any) (found bool, err error) {
	err = f.api.Get(ctx, path, query, o)
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsForbidden(err):
		return false, fmt.Errorf("reading what the plan depends on: %w", err)
	}
	return false, fmt.Errorf("reading %s: %w", path, err)
}

// server is the server of the release as it is, if it has it.
func (f *facts) server(s server) (found verify.Server, ok bool) {
	i := slices.IndexFunc(f.report.Servers, func(r verify.Server) bool { return r.Name == s.service })
	if i < 0 {
		return verify.Server{}, false
	}
	return f.report.Servers[i], true
}

// willServe reports whether the release will have the server.
func (f *facts) willServe(s server) bool {
	if value, found := find(f.wanted.Values, s.enabled); found {
		enabled, _ := value.(bool)
		return enabled
	}
	_, ok := f.server(s)
	return ok
}
