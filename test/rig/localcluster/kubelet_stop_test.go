package localcluster

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNoProcessOutlivesTheKubelet(t *testing.T) {
	shared := pods(t)
	for name, stop := range map[string]func(context.CancelFunc, *Cluster, *Kubelet) error{
		"when its context ends": func(cancel context.CancelFunc, _ *Cluster, k *Kubelet) error {
			cancel()
			k.Wait()
			return nil
		},
		"when the cluster stops": func(_ context.CancelFunc, c *Cluster, _ *Kubelet) error { return c.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Start(t.Context(), Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.Stop(), "again") })
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			k, err := c.RunPods(ctx, PodOptions{Images: shared.options.Images})
			require.NoError(t, err)
			_, err = c.Client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "deaf"},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{tool("main", "serve", "deaf")}},
			}, metav1.CreateOptions{})
			require.NoError(t, err)
			images := filepath.Join(c.Dir, "images")
			require.NoError(t, await(t.Context(), "the pod's process", func(context.Context) (bool, error) {
				text, err := k.Logs("default", "deaf", "main")
				return err == nil && len(text) > 0, nil
			}))
			require.Len(t, naming(t, images), 1)

			require.NoError(t, stop(cancel, c, k))

			assert.Empty(t, naming(t, images))
			require.NoError(t, c.Stop())
			assert.NoDirExists(t, c.Dir)
			assert.Empty(t, naming(t, c.Dir))
		})
	}
}
