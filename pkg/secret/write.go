package secret

import (
	"context"
	"fmt"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

const (
	// ManagedBy is the value of LabelManagedBy on the Secrets that this package may change.
	ManagedBy = "kthena-certgen"
	// LabelManagedBy is the recommended label of Kubernetes for the tool that manages an object.
	LabelManagedBy = "app.kubernetes.io/managed-by"

	// KeyCA is the Secret's key of the CA set. Those of the certificate and its private key are core.TLSCertKey and
	// core.TLSPrivateKeyKey.
	KeyCA = "ca.crt"

	// AnnotationNotAfter holds the end of the certificate's life in RFC 3339, for those who watch expiry.
	AnnotationNotAfter = "certgen.kthena.volcano.sh/not-after"
	// AnnotationCAFingerprint holds the gen.Fingerprint of the CA of the set that the certificate leads to.
	AnnotationCAFingerprint = "certgen.kthena.volcano.sh/ca-fingerprint"
	// AnnotationVersion holds the version of the program that wrote the Secret.
	AnnotationVersion = "certgen.kthena.volcano.sh/version"
)

// material is a new certificate whose CA set keeps trusting what the stored one, described by v, trusts.
func (e *ensurer) material(v gen.Validation) (gen.Bundle, error) {
	if e.fresh == nil {
		b, err := gen.Generate(e.want.Spec, e.now())
		if err != nil {
			return gen.Bundle{}, err
		}
		e.fresh = &b
	}
	return e.fresh.Trusting(v.CAs, e.now()), nil
}

// create makes the Secret. b is nil when it is to hold new material.
func (e *ensurer) create(ctx context.Context, d decision, b *gen.Bundle) (Result, error) {
	if b == nil {
		m, err := e.material(gen.Validation{})
		if err != nil {
			return Result{}, err
		}
		b = &m
	}
	s := &core.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name},
		Type:       core.SecretTypeTLS,
	}
	checked := e.fill(s, *b)
	e.tried = d
	s, err := e.Client.Create(ctx, s, metav1.CreateOptions{FieldManager: e.FieldManager})
	if err != nil {
		return Result{}, fmt.Errorf("creating it: %w", err)
	}
	return e.result(s, d, *b, checked), nil
}

// replace writes b into the Secret as it was read, by an update where the API allows one.
func (e *ensurer) replace(ctx context.Context, current *core.Secret, d decision, b gen.Bundle) (Result, error) {
	e.log().Warn("replacing what the secret holds", "secret", e.id(), "reason", d.reason, "detail", d.detail)
	if !replaceable(current) {
		return e.recreate(ctx, current, d, b)
	}
	s := current.DeepCopy()
	checked := e.fill(s, b)
	e.tried = d
	s, err := e.Client.Update(ctx, s, metav1.UpdateOptions{FieldManager: e.FieldManager})
	if apierrors.IsNotFound(err) {
		// It was deleted meanwhile: the same as any other change by somebody else.
		return Result{}, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, e.Name, err)
	}
	if err != nil {
		return Result{}, fmt.Errorf("updating it: %w", err)
	}
	return e.result(s, d, b, checked), nil
}

// recreate deletes exactly the Secret that was read and creates it anew. Should this be interrupted between the two,
// the next run finds no Secret and creates one; the CAs that are trusted so far stay in the webhook configurations.
func (e *ensurer) recreate(ctx context.Context, current *core.Secret, d decision, b gen.Bundle) (Result, error) {
	err := e.Client.Delete(ctx, e.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &current.UID, ResourceVersion: &current.ResourceVersion},
	})
	switch {
	case apierrors.IsForbidden(err):
		return Result{}, &RefusedError{
			Reason: ReasonImmutable,
			Detail: fmt.Sprintf("the Secret must be replaced (%s: %s), the API cannot update it and deleting it is forbidden", d.reason, d.detail),
			Remedy: remake(current),
			Object: reference(current),
		}
	case err != nil && !apierrors.IsNotFound(err):
		return Result{}, fmt.Errorf("deleting it: %w", err)
	}
	e.removed = &b
	return e.create(ctx, d, &b)
}

// fill sets everything of s that is ours and leaves the labels and annotations of others.
func (e *ensurer) fill(s *core.Secret, b gen.Bundle) gen.Validation {
	checked := gen.Check(b, e.want.Spec.DNSNames, e.now())
	s.Data = map[string][]byte{KeyCA: b.CA, core.TLSCertKey: b.Cert, core.TLSPrivateKeyKey: b.Key}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	maps.Copy(s.Labels, e.Labels)
	s.Labels[LabelManagedBy] = ManagedBy
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	maps.Copy(s.Annotations, e.Annotations)
	s.Annotations[AnnotationNotAfter] = checked.NotAfter.UTC().Format(time.RFC3339)
	s.Annotations[AnnotationCAFingerprint] = gen.Fingerprint(checked.Root)
	s.Annotations[AnnotationVersion] = e.Version
	return checked
}
