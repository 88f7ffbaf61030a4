package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
)

// defaultTimeout is that of the helm command.
const defaultTimeout = 5 * time.Minute

// The helm command sets this name in its main function. It decides whose fields the API server takes a release's fields for, and
// so what an upgrade may change.
func init() { kube.ManagedFieldsManager = "helm" }

// Client does what the helm command does with the releases of one namespace, which are stored in Secrets there.
type Client struct {
	getter    *clientGetter
	namespace string
}

// ReleaseOptions say how long a change of a release may take. The zero value does not wait for what has been applied.
type ReleaseOptions struct {
	// Wait makes a change end when everything that was applied is ready, and an uninstall when everything is gone.
	Wait bool
	// Timeout bounds each wait for the cluster. Five minutes if it is zero.
	Timeout time.Duration
}

// timeout returns the time that a change may take.
func (o ReleaseOptions) timeout() time.Duration {
	if o.Timeout == 0 {
		return defaultTimeout
	}
	return o.Timeout
}

// Release is a revision of a release, as the cluster has it recorded.
type Release struct {
	Name      string
	Namespace string
	// Revision is 1 after an install and one more after each upgrade or rollback.
	Revision int
	// Status is Helm's word for it, such as deployed or failed.
	Status   string
	Manifest string
	Notes    string
}

// New returns a client for the cluster that a kubeconfig file leads to. Whether it can be reached shows in the first change.
func New(kubeconfig, namespace string) (*Client, error) {
	getter, err := newClientGetter(kubeconfig, namespace)
	if err != nil {
		return nil, err
	}
	return &Client{getter: getter, namespace: namespace}, nil
}

// Install installs a chart, from its folder or package, and creates the namespace if it is missing. Values are laid over the chart's own.
func (c *Client) Install(ctx context.Context, name, chartDir string, values map[string]any, o ReleaseOptions) (Release, error) {
	chart, err := load(chartDir, nil)
	if err != nil {
		return Release{}, err
	}
	cfg, err := c.configuration()
	if err != nil {
		return Release{}, err
	}
	install := action.NewInstall(cfg)
	install.ReleaseName, install.Namespace, install.CreateNamespace = name, c.namespace, true
	install.Wait, install.Timeout = o.Wait, o.timeout()
	rel, err := install.RunWithContext(ctx, chart, values)
	if err != nil {
		return Release{}, fmt.Errorf("installing release %s/%s: %w", c.namespace, name, err)
	}
	return summary(rel), nil
}

// Upgrade brings a release to a chart, from its folder or package, and to values, which are laid over the chart's own. Values of earlier
// revisions are not kept.
func (c *Client) Upgrade(ctx context.Context, name, chartDir string, values map[string]any, o ReleaseOptions) (Release, error) {
	chart, err := load(chartDir, nil)
	if err != nil {
		return Release{}, err
	}
	cfg, err := c.configuration()
	if err != nil {
		return Release{}, err
	}
	upgrade := action.NewUpgrade(cfg)
	upgrade.Namespace = c.namespace
	// Without it Helm takes an empty set of values to mean those of the revision before.
	upgrade.ResetValues = true
	upgrade.Wait, upgrade.Timeout = o.Wait, o.timeout()
	rel, err := upgrade.RunWithContext(ctx, name, chart, values)
	if err != nil {
		return Release{}, fmt.Errorf("upgrading release %s/%s: %w", c.namespace, name, err)
	}
	return summary(rel), nil
}

// Rollback makes a new revision out of an earlier one. Revision 0 is the one before the current.
func (c *Client) Rollback(name string, revision int, o ReleaseOptions) (Release, error) {
	cfg, err := c.configuration()
	if err != nil {
		return Release{}, err
	}
	rollback := action.NewRollback(cfg)
	rollback.Version = revision
	rollback.Wait, rollback.Timeout = o.Wait, o.timeout()
	if err := rollback.Run(name); err != nil {
		return Release{}, fmt.Errorf("rolling back release %s/%s: %w", c.namespace, name, err)
	}
	rel, err := cfg.Releases.Last(name)
	if err != nil {
		return Release{}, fmt.Errorf("reading release %s/%s: %w", c.namespace, name, err)
	}
	return summary(rel), nil
}

// Test runs the tests of a release, as `helm test --logs` does, and writes the logs of their pods, whether they succeed or not.
func (c *Client) Test(name string, logs io.Writer, o ReleaseOptions) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	test := action.NewReleaseTesting(cfg)
	test.Namespace, test.Timeout = c.namespace, o.timeout()
	rel, err := test.Run(name)
	if rel != nil {
		err = errors.Join(err, test.GetPodLogs(logs, rel))
	}
	if err != nil {
		return fmt.Errorf("testing release %s/%s: %w", c.namespace, name, err)
	}
	return nil
}

// Uninstall deletes a release with everything that it holds.
func (c *Client) Uninstall(name string, o ReleaseOptions) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(cfg)
	uninstall.Wait, uninstall.Timeout = o.Wait, o.timeout()
	if _, err := uninstall.Run(name); err != nil {
		return fmt.Errorf("uninstalling release %s/%s: %w", c.namespace, name, err)
	}
	return nil
}

// configuration is made anew for each change, as the helm command does: it remembers what the cluster serves.
func (c *Client) configuration() (*action.Configuration, error) {
	c.getter.forget()
	cfg := new(action.Configuration)
	if err := cfg.Init(c.getter, c.namespace, "secret", func(string, ...any) {}); err != nil {
		return nil, fmt.Errorf("creating helm's client: %w", err)
	}
	client, ok := cfg.KubeClient.(*kube.Client)
	if !ok {
		return nil, fmt.Errorf("creating helm's client: it is a %T", cfg.KubeClient)
	}
	cfg.KubeClient = quickClient{client}
	return cfg, nil
}

// summary is what callers need of Helm's own type, so that they do not depend on it.
func summary(r *release.Release) Release {
	return Release{
		Name: r.Name, Namespace: r.Namespace, Revision: r.Version, Status: r.Info.Status.String(), Manifest: r.Manifest, Notes: r.Info.Notes,
	}
}
