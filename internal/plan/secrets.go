package plan

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// secret reads one of the release's namespace.
func (f *facts) secret(ctx context.Context, name string) (o object, found bool, err error) {
	found, err = f.get(ctx, resource.Secrets.Path(f.report.Namespace, name), nil, &o)
	return o, found, err
}

// issuer is whose the certificate in a Secret is: that of a Certificate of this release's, of one of the user's, or of one that is gone.
type issuer int

const (
	nobody issuer = iota
	release
	user
	gone
)

// issuedBy finds out about the Certificate that cert-manager has written a Secret for.
func (f *facts) issuedBy(ctx context.Context, o object) (issuer, error) {
	name := o.Metadata.Annotations["cert-manager.io/certificate-name"]
	if name == "" {
		return nobody, nil
	}
	var certificate object
	found, err := f.get(ctx, resource.Certificates.Path(f.report.Namespace, name), nil, &certificate)
	switch {
	case err != nil:
		return nobody, err
	case !found:
		return gone, nil
	case certificate.Metadata.Labels["app.kubernetes.io/instance"] == f.report.Release:
		return release, nil
	}
	return user, nil
}

// lookAtSecrets checks those that manual mode would mount.
func (f *facts) lookAtSecrets(ctx context.Context) error {
	for _, s := range servers {
		if !f.willServe(s) {
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
		by, err := f.issuedBy(ctx, o)
		if err != nil {
			return err
		}
		if why := map[issuer]string{release: "which goes away with the switch", gone: "whose Certificate is gone"}[by]; why != "" {
			f.refused = append(
				f.refused, fmt.Sprintf("%s is cert-manager's, %s: name one of your own by %s", id, why, strings.Join(s.values, ".")),
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
