package verify

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/volcano-sh/kthena-certgen/internal/resource"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// Who has made a Secret.
const (
	originCertgen     = "kthena-certgen"
	originCertManager = "cert-manager"
	originUser        = "user"
)

// lookAtSecret finds the Secret behind a server by its pods' template, and checks it.
func (v *Verifier) lookAtSecret(ctx context.Context, s *server) error {
	if s.Secret.Name == "" {
		var d deployment
		found, known, err := v.get(ctx, resource.Deployments, s.Deployment, nil, &d)
		switch {
		case err != nil:
			return err
		case known && !found:
			v.find(
				DeploymentMissing, "Deployment "+v.Namespace+"/"+s.Deployment, v.upgradeRemedy(), "it does not exist, and nothing serves %s", s.Name,
			)
			v.broken(s)
			return nil
		case !found:
			return nil
		}
		s.Secret.Name, s.dnsNames = d.Spec.Template.Spec.mounted(s.folder)
		v.expectController(d)
	}
	if s.Secret.Name == "" {
		return nil
	}
	var stored storedSecret
	found, known, err := v.get(ctx, resource.Secrets, s.Secret.Name, nil, &stored)
	if err != nil || !known {
		return err
	}
	if found {
		s.stored = &stored
		v.describeSecret(s)
	}
	return v.lookAtCertificate(ctx, s, found)
}

// describeSecret fills in what the report says of the Secret, and checks what it holds.
func (v *Verifier) describeSecret(s *server) {
	m := s.stored.Metadata
	s.Secret.Managers = managers(m)
	switch {
	case m.Labels[secret.LabelManagedBy] == secret.ManagedBy:
		s.Secret.Origin = originCertgen
	case m.Annotations[annotationCertificateName] != "":
		s.Secret.Origin = originCertManager
		if s.certificate == "" {
			s.certificate = v.Namespace + "/" + m.Annotations[annotationCertificateName]
		}
	default:
		s.Secret.Origin = originUser
	}
	if v.report.Mode == "" { // there is no webhook, and so no other server
		v.report.Mode = Manual
		if s.Secret.Origin == originCertManager {
			v.report.Mode = CertManager
		}
	}
	b := gen.Bundle{CA: s.stored.Data[secret.KeyCA], Cert: s.stored.Data[core.TLSCertKey], Key: s.stored.Data[core.TLSPrivateKeyKey]}
	if v.report.Mode == Manual && len(b.CA) == 0 {
		// Manual mode asks for the certificate and the key alone; whether the API server trusts them is judged elsewhere.
		b.CA = gen.CASet(gen.Check(b, nil, v.now()).Chain).PEM()
		if len(s.entries) > 0 {
			b.CA = gen.CASet(s.entries[0].cas).PEM()
		}
	}
	names := s.dnsNames
	if len(names) == 0 && len(s.entries) > 0 {
		names = []string{s.name(v)}
	}
	s.checked = gen.Check(b, names, v.now())
	s.Secret.Certificate = described(s.checked.Leaf)
}

// lookAtCertificate says what cert-manager says of the certificate, where it makes it.
func (v *Verifier) lookAtCertificate(ctx context.Context, s *server, stored bool) error {
	object := "Secret " + v.Namespace + "/" + s.Secret.Name
	name, ofNamespace := strings.CutPrefix(s.certificate, v.Namespace+"/")
	if ofNamespace {
		var c certificate
		err := v.API.Get(ctx, resource.Certificates.Path(v.Namespace, name), nil, &c)
		// This is for the reason alone, so a right that is missing or a cluster without cert-manager is no matter.
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
			return err
		}
		for _, condition := range c.Status.Conditions {
			if condition.Type == "Ready" && condition.Status != "True" {
				v.find(CertificateNotReady, "Certificate "+s.certificate, v.certificateRemedy(name),
					"cert-manager has not issued what Secret %s must hold: %s", s.Secret.Name, condition.Message)
				v.broken(s)
				return nil
			}
		}
	}
	switch {
	case stored && s.stored.Metadata.DeletionTimestamp != nil && len(s.stored.Metadata.Finalizers) > 0:
		v.find(SecretTerminating, object, v.finalizersRemedy(s.Secret.Name), "it is being deleted since %s, and its finalizers %s hold it: a "+
			"pod of %s that starts waits for it to go",
			date(s.stored.Metadata.DeletionTimestamp.Time), strings.Join(s.stored.Metadata.Finalizers, ", "), s.Deployment)
	case !stored:
		v.find(SecretMissing, object, v.secretRemedy(s), "it does not exist, and the pods of %s get their certificate from it", s.Deployment)
	case !s.checked.OK():
		v.find(
			SecretInvalid, object, v.secretRemedy(s), "its certificate cannot be used: %s (made by %s, written by %s)", s.checked.Faults[0],
			s.Secret.Origin, strings.Join(s.Secret.Managers, ", "),
		)
	case v.report.Mode == Auto && s.Secret.Origin != originCertgen:
		v.find(
			SecretForeign, object, v.secretRemedy(s), "kthena-certgen did not make it (written by %s) and will not renew it on %s",
			strings.Join(s.Secret.Managers, ", "), date(s.checked.NotAfter),
		)
	}
	return nil
}
