//go:build e2e

package e2e

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// tick is how often a condition is looked at.
const tick = 100 * time.Millisecond

// names makes a lister of names out of a typed lister of objects.
func names[L runtime.Object](
	list func(context.Context, metav1.ListOptions) (L, error),
) func(context.Context, metav1.ListOptions) ([]string, error) {
	return func(ctx context.Context, o metav1.ListOptions) ([]string, error) {
		objects, err := list(ctx, o)
		if err != nil {
			return nil, err
		}
		var found []string
		err = meta.EachListItem(objects, func(object runtime.Object) error {
			m, err := meta.Accessor(object)
			if err != nil {
				return err
			}
			found = append(found, m.GetName())
			return nil
		})
		return found, err
	}
}
