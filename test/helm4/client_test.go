package helm4

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// The helm command sets this name in its main function.
func init() { kube.ManagedFieldsManager = "helm" }

const timeout = 2 * time.Minute

// client does what the helm command does with the releases of one namespace.
type client struct {
	getter    *genericclioptions.ConfigFlags
	namespace string
}

func newClient(t *testing.T, kubeconfig, namespace string) *client {
	t.Helper()
	cacheDir := t.TempDir()
	getter := genericclioptions.NewConfigFlags(true)
	getter.KubeConfig, getter.Namespace, getter.CacheDir = &kubeconfig, &namespace, &cacheDir
	// client-go's default of 5 requests a second is made for shared clusters.
	getter.WithWrapConfigFn(func(c *rest.Config) *rest.Config {
		c.QPS = -1
		return c
	})
	return &client{getter, namespace}
}

func (c *client) configuration(t *testing.T) *action.Configuration {
	t.Helper()
	cfg := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	require.NoError(t, cfg.Init(c.getter, c.namespace, "secret"))
	return cfg
}

// install installs a chart as `helm install --wait` does, or with --server-side=false where it is not to apply on the server's side.
func (c *client) install(t *testing.T, dir string, values map[string]any, serverSide bool) {
	t.Helper()
	install := action.NewInstall(c.configuration(t))
	install.ReleaseName, install.Namespace = charttest.Release, c.namespace
	install.Timeout, install.WaitStrategy = timeout, kube.StatusWatcherStrategy
	require.True(t, install.ServerSideApply, "Helm 4's default")
	install.ServerSideApply = serverSide
	_, err := install.RunWithContext(t.Context(), load(t, dir), values)
	require.NoError(t, err)
}

// upgrade does what `helm upgrade --wait` does, with --force-conflicts if that is asked for.
func (c *client) upgrade(t *testing.T, dir string, values map[string]any, forceConflicts bool) error {
	t.Helper()
	upgrade := action.NewUpgrade(c.configuration(t))
	upgrade.Namespace, upgrade.Timeout, upgrade.WaitStrategy = c.namespace, timeout, kube.StatusWatcherStrategy
	upgrade.ResetValues, upgrade.ForceConflicts = true, forceConflicts
	_, err := upgrade.RunWithContext(t.Context(), charttest.Release, load(t, dir), values)
	return err
}

// replace does what `helm upgrade --wait --force-replace` does.
func (c *client) replace(t *testing.T, dir string, values map[string]any) error {
	t.Helper()
	upgrade := action.NewUpgrade(c.configuration(t))
	upgrade.Namespace, upgrade.Timeout, upgrade.WaitStrategy = c.namespace, timeout, kube.StatusWatcherStrategy
	upgrade.ResetValues, upgrade.ForceReplace = true, true
	_, err := upgrade.RunWithContext(t.Context(), charttest.Release, load(t, dir), values)
	return err
}

// uninstall does what `helm uninstall --wait` does.
func (c *client) uninstall(t *testing.T) error {
	t.Helper()
	uninstall := action.NewUninstall(c.configuration(t))
	uninstall.Timeout, uninstall.WaitStrategy = timeout, kube.StatusWatcherStrategy
	_, err := uninstall.Run(charttest.Release)
	return err
}

func load(t *testing.T, dir string) chart.Charter {
	t.Helper()
	loaded, err := loader.Load(dir)
	require.NoError(t, err)
	return loaded
}
