package plan

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
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

// helmRelease is the release as Helm has stored it.
type helmRelease struct {
	revision int
	chart    string
	values   map[string]any
	// applied says how: "ssa" is on the server's side, "csa" on the client's, both by Helm 4. Helm 3 does not say.
	applied string
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
	if look != nil && wanted.Mode != report.Mode {
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

// lookAtHelm reads the release.
func (f *facts) lookAtHelm(ctx context.Context) error {
	ns := f.report.Namespace
	var stored list
	query := url.Values{"labelSelector": {"owner=helm,status=deployed,name=" + f.report.Release}}
	if _, err := f.get(ctx, resource.Secrets.Path(ns, ""), query, &stored); err != nil {
		return err
	}
	for _, s := range stored.Items {
		revision, _ := strconv.Atoi(s.Metadata.Labels["version"])
		if revision < f.helm.revision {
			continue
		}
		if err := f.helm.read(s.Data["release"]); err != nil {
			return fmt.Errorf("reading what Helm has stored in secret %s/%s: %w", ns, s.Metadata.Name, err)
		}
		f.helm.revision = revision
	}
	if f.helm.revision == 0 {
		f.refused = append(
			f.refused,
			fmt.Sprintf(
				"Helm knows no release %s in namespace %s: whoever applies the chart, such as Argo CD or Flux, has to change global.certManagementMode",
				f.report.Release, ns,
			),
		)
		return nil
	}
	by := map[string]string{"": "Helm 3", "csa": "Helm 4 on the client's side", "ssa": "Helm 4"}[f.helm.applied]
	f.found = append(f.found, fmt.Sprintf("revision %d of chart %s, by %s", f.helm.revision, f.helm.chart, by))
	return nil
}

// read decodes what Helm stores: JSON, compressed, in base64.
func (h *helmRelease) read(data []byte) error {
	packed, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(unpacked, 64<<20))
	if err != nil {
		return err
	}
	var stored struct {
		Applied string `json:"apply_method"`
		Config  map[string]any
		Chart   struct {
			Metadata struct{ Name, Version string }
		}
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	h.applied, h.values, h.chart = stored.Applied, stored.Config, stored.Chart.Metadata.Name+"-"+stored.Chart.Metadata.Version
	return nil
}

// serves reports whether the release has the server.
func (f *facts) serves(s server) bool {
	return slices.ContainsFunc(f.report.Servers, func(r verify.Server) bool { return r.Name == s.service })
}

// lookAtSecrets checks those that manual mode would mount.
func (f *facts) lookAtSecrets(ctx context.Context) error {
	for _, s := range servers {
		if !f.serves(s) {
			continue
		}
		name := f.of(s.values, s.secret)
		id := "Secret " + f.report.Namespace + "/" + name
		o, found, err := f.secret(ctx, name)
		if err != nil {
			return err
		}
		if !found {
			f.refused = append(
				f.refused,
				fmt.Sprintf(
					"%s does not exist, and Service %s would serve from it: create it, or name another one by %s", id, s.service,
					strings.Join(s.values, "."),
				),
			)
			continue
		}
		if !isUsers(o, found) {
			f.refused = append(
				f.refused,
				fmt.Sprintf("%s is cert-manager's, which goes away with the switch: name one of your own by %s", id, strings.Join(s.values, ".")),
			)
			continue
		}
		names := []string{s.service + "." + f.report.Namespace + ".svc"}
		r := gen.Check(gen.Bundle{CA: f.wanted.CA, Cert: o.Data["tls.crt"], Key: o.Data["tls.key"]}, names, f.report.Time)
		if !r.OK() {
			f.refused = append(f.refused, fmt.Sprintf("%s cannot be used with the CA of %s: %s", id, f.wanted.CAFile, r.Faults[0]))
			continue
		}
		f.found = append(f.found, fmt.Sprintf("%s is good until %s", id, r.NotAfter.UTC().Format(time.DateOnly)))
	}
	return nil
}
