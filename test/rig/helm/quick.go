package helm

import (
	"context"
	"fmt"
	"io"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

// waitInterval is how often the cluster is asked. Helm asks every two seconds, which is most of the time that a change of a
// local cluster takes.
const waitInterval = 100 * time.Millisecond

// quickClient is Helm's client of the API server without what only costs a local cluster time. What counts as ready is Helm's.
type quickClient struct{ *kube.Client }

// Build reads objects without comparing them with the API server's schemas. For that Helm would load and parse those of all API
// groups in each change, a quarter of the CPU time of a test that installs charts. The chart's tests decode what it renders strictly,
// and those of the manual use the helm command.
func (c quickClient) Build(objects io.Reader, _ bool) (kube.ResourceList, error) {
	return c.Client.Build(objects, false)
}

// Wait returns when all resources are ready.
func (c quickClient) Wait(resources kube.ResourceList, timeout time.Duration) error {
	set, err := c.Factory.KubernetesClientSet()
	if err != nil {
		return fmt.Errorf("creating the client: %w", err)
	}
	checker := kube.NewReadyChecker(set, c.Log, kube.PausedAsReady(true))
	return poll(timeout, func(ctx context.Context) (bool, error) {
		for _, r := range resources {
			if ready, err := checker.IsReady(ctx, r); !ready {
				return false, err
			}
		}
		return true, nil
	})
}

// WaitForDelete returns when no resource is there any more.
func (c quickClient) WaitForDelete(resources kube.ResourceList, timeout time.Duration) error {
	return poll(timeout, func(context.Context) (bool, error) {
		for _, r := range resources {
			if err := r.Get(); !apierrors.IsNotFound(err) {
				return false, err
			}
		}
		return true, nil
	})
}

// poll asks until the answer is yes. An error may be of the moment, so it does not end the wait; the last is part of what is
// returned when the time is over.
func poll(timeout time.Duration, ask func(context.Context) (bool, error)) error {
	var last error
	err := wait.PollUntilContextTimeout(context.Background(), waitInterval, timeout, true, func(ctx context.Context) (bool, error) {
		done, err := ask(ctx)
		if ctx.Err() == nil {
			last = err
		}
		return done, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}
