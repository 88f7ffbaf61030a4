package secret

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// AnnotationRetired holds the gen.Fingerprint of CAs that have left the set by Retire, joined by commas, the latest last. By it
// they leave the webhook configurations, too, even if who took them out of the set was interrupted before.
const AnnotationRetired = "certgen.kthena.volcano.sh/retired"

// maxRetired is how many fingerprints are kept. A CA leaves the webhook configurations at once, or when the API server can be
// reached again, so only the latest matter.
const maxRetired = 16

// Retired are the fingerprints that AnnotationRetired of s holds.
func Retired(s *core.Secret) []string {
	if s.Annotations[AnnotationRetired] == "" {
		return nil
	}
	return strings.Split(s.Annotations[AnnotationRetired], ",")
}

// Retire takes CAs out of the set of the Secret as it was read. They are those of older certificates, and the caller has seen
// that nothing serves one of these any more. The Secret must be ours and its certificate must be good without them. The error
// satisfies apierrors.IsConflict when somebody else has changed the Secret since it was read.
func (s *Store) Retire(ctx context.Context, read *core.Secret, names []string, cas gen.CASet) error {
	b := bundleOf(read)
	checked := gen.Check(b, names, s.now())
	kept := slices.DeleteFunc(slices.Clone(checked.CAs), func(c *x509.Certificate) bool { return cas.Contains(c) })
	b.CA = kept.PEM()
	switch v := gen.Check(b, names, s.now()); {
	case read.Labels[LabelManagedBy] != ManagedBy:
		return fmt.Errorf("retiring CAs of secret %s/%s: it has no label %s=%s", s.Namespace, s.Name, LabelManagedBy, ManagedBy)
	case !v.OK():
		return fmt.Errorf("retiring CAs of secret %s/%s: its certificate needs one of them: %s", s.Namespace, s.Name, v.Faults[0])
	}
	o := read.DeepCopy()
	o.Data[KeyCA] = b.CA
	retired := Retired(read)
	for _, c := range cas {
		if f := gen.Fingerprint(c); !slices.Contains(retired, f) {
			retired = append(retired, f)
		}
	}
	if o.Annotations == nil {
		o.Annotations = map[string]string{}
	}
	o.Annotations[AnnotationRetired] = strings.Join(retired[max(0, len(retired)-maxRetired):], ",")
	o.Annotations[AnnotationVersion] = s.Version
	if _, err := s.Client.Update(ctx, o, metav1.UpdateOptions{FieldManager: s.FieldManager}); err != nil {
		return fmt.Errorf("retiring CAs of secret %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}
