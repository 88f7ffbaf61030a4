package plan

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// injects is the first version of cert-manager whose CA injector adds its CA to what an entry trusts, instead of replacing it.
var injects = version.MustParseGeneric("1.19.0")

// lookAtCertManager checks what cert-manager mode needs.
func (f *facts) lookAtCertManager(ctx context.Context) error {
	var group struct{}
	found, err := f.get(ctx, resource.Issuers.GroupPath(), nil, &group)
	if err != nil {
		return err
	}
	if !found {
		f.refused = append(f.refused, "the cluster does not serve cert-manager.io/v1: install cert-manager first")
		return nil
	}
	if err := f.lookAtVersion(ctx); err != nil {
		return err
	}
	if err := f.lookAtIssuer(ctx); err != nil {
		return err
	}
	return f.lookAtCertificates(ctx)
}

// lookAtVersion finds out how old cert-manager is, by the label that its chart and its manifests set.
func (f *facts) lookAtVersion(ctx context.Context) error {
	var injectors list
	query := url.Values{"labelSelector": {"app.kubernetes.io/component=cainjector,app.kubernetes.io/name=cainjector"}}
	if err := f.api.Get(ctx, resource.Deployments.Path("", ""), query, &injectors); err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("listing the Deployments of cert-manager's CA injector: %w", err)
	}
	for _, d := range injectors.Items {
		text := d.Metadata.Labels["app.kubernetes.io/version"]
		v, err := version.ParseGeneric(text)
		if err != nil {
			continue
		}
		f.found = append(f.found, "cert-manager "+text)
		if v.LessThan(injects) {
			f.refused = append(
				f.refused,
				fmt.Sprintf("cert-manager is %s, whose CA injector replaces the bundle, so that calls to old pods fail: use 1.19 or later", text),
			)
		}
		return nil
	}
	f.notes = append(f.notes, "the version of cert-manager is not known, nor whether it runs: it has to be 1.19 or later")
	return nil
}

// lookAtIssuer checks the issuer that the values name.
func (f *facts) lookAtIssuer(ctx context.Context) error {
	ref := func(key string) string { return f.of([]string{"global", "certManager", "issuerRef", key}, "") }
	name, kind := ref("name"), ref("kind")
	if group := ref("group"); name == "" || group != "" && group != "cert-manager.io" {
		return nil
	}
	if kind == "" {
		kind = "Issuer"
	}
	path := resource.Issuers.Path(f.report.Namespace, name)
	if kind == "ClusterIssuer" {
		path = resource.ClusterIssuers.Path("", name)
	}
	var o object
	found, err := f.get(ctx, path, nil, &o)
	if err != nil {
		return err
	}
	if !found {
		f.refused = append(f.refused, kind+" "+name+" does not exist: create it, or change global.certManager.issuerRef")
		return nil
	}
	for _, c := range o.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			f.found = append(f.found, kind+" "+name+" is ready")
			return nil
		}
	}
	f.refused = append(f.refused, kind+" "+name+" is not ready: kubectl describe "+strings.ToLower(kind)+" "+name)
	return nil
}

// lookAtCertificates looks for what is the user's in Secrets that cert-manager would write to: those that manual mode mounts, if they have
// the same names, and those of the CAs that it makes where the values name no issuer.
func (f *facts) lookAtCertificates(ctx context.Context) error {
	ownCA := f.of([]string{"global", "certManager", "issuerRef", "name"}, "") == ""
	for _, s := range servers {
		if !f.willServe(s) {
			continue
		}
		if ownCA {
			o, found, err := f.secret(ctx, s.ca)
			if err != nil {
				return err
			}
			if isUsers(o, found) {
				f.refused = append(f.refused, fmt.Sprintf(
					"Secret %s/%s is not cert-manager's, which would write its CA there: keep it under another name, or set global.certManager.issuerRef",
					f.report.Namespace, s.ca,
				))
			}
		}
		name := f.of(s.values, s.secret)
		o, found, err := f.secret(ctx, name)
		if err != nil {
			return err
		}
		now, _ := f.server(s)
		// A name that was given for manual mode, and not for this one.
		if name != s.secret && lookup(f.wanted.Values, s.values) == "" &&
			(isUsers(o, found) || f.report.Mode == verify.Manual && now.Secret.Name == name) {
			f.resetSecrets = append(f.resetSecrets, strings.Join(s.values, ".")+"="+s.secret)
			name = s.secret
			if o, found, err = f.secret(ctx, name); err != nil {
				return err
			}
		}
		if isUsers(o, found) {
			f.overwritten = append(f.overwritten, name)
		}
	}
	return nil
}

// isUsers reports whether a Secret, if it was found, is nobody's but the user's: cert-manager has not written it.
func isUsers(o object, found bool) bool {
	return found && o.Metadata.Annotations["cert-manager.io/certificate-name"] == ""
}
