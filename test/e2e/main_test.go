//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/volcano-sh/kthena-certgen/internal/charttest"
	"github.com/volcano-sh/kthena-certgen/internal/localcluster"
	"github.com/volcano-sh/kthena-certgen/test/crds"
)

// Flags, after -args. Images that are not given are the chart's own, which the stand-in's are named like (make standin-images).
var (
	chart             = flag.String("chart", filepath.Join("..", "..", "charts", "kthena"), "folder or package of the chart")
	certgen           = flag.String("certgen", "", "image of kthena-certgen, NAME:TAG")
	controllerManager = flag.String("controller-manager", "", "image of the stand-in for Kthena's controller-manager, NAME:TAG")
	router            = flag.String("router", "", "image of the stand-in for Kthena's router, NAME:TAG")
)

// timeout bounds each wait for the cluster: a rolling restart of nine pods takes more than a minute on a small one.
const timeout = 5 * time.Minute

// env is the cluster that the current context of the kubeconfig leads to.
var env *charttest.Environment

// modes are those that the cluster can do.
var modes = []string{charttest.Auto, charttest.Manual}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(context.Background(), m))
}

func run(ctx context.Context, m *testing.M) (code int) {
	cleanUp, err := connect(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: error:", err)
		return 1
	}
	defer func() {
		if err := cleanUp(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: error:", err)
			code = 1
		}
	}()
	return m.Run()
}

// connect finds the cluster and adds Kthena's kinds where it has none. What it returns takes away what it has added.
func connect(ctx context.Context) (cleanUp func(context.Context) error, err error) {
	charttest.Wait.Timeout = timeout
	kubeconfig := clientcmd.NewDefaultClientConfigLoadingRules().GetDefaultFilename()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %q: %w", kubeconfig, err)
	}
	// The probe's rate is its own.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("asking the cluster of kubeconfig %q for its version: %w", kubeconfig, err)
	}
	env = &charttest.Environment{Cluster: &localcluster.Cluster{Config: config, Client: client, Kubeconfig: kubeconfig}, ChartPath: *chart}
	if err := refuse(ctx); err != nil {
		return nil, err
	}
	if _, err := client.Discovery().ServerResourcesForGroupVersion("cert-manager.io/v1"); err == nil {
		modes = append(modes, charttest.CertManager)
	}
	fmt.Printf("Kubernetes %s on %s, modes %s\n", version.GitVersion, config.Host, strings.Join(modes, ", "))
	return addKinds(ctx)
}

// refuse reports that there is a release already: the names of its webhook configurations belong to the whole cluster.
func refuse(ctx context.Context) error {
	ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=kthena"}
	list, err := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, ours)
	if err != nil {
		return fmt.Errorf("listing validating webhook configurations: %w", err)
	}
	for _, c := range list.Items {
		return fmt.Errorf("the cluster has a release of Kthena already, with %s: use another cluster, or uninstall it", c.Name)
	}
	return nil
}

// addKinds installs definitions of Kthena's kinds, and leaves alone those that are there.
func addKinds(ctx context.Context) (remove func(context.Context) error, err error) {
	clients, err := apiextensions.NewForConfig(env.Config)
	if err != nil {
		return nil, fmt.Errorf("making a client for definitions: %w", err)
	}
	client := clients.CustomResourceDefinitions()
	wanted, err := crds.All()
	if err != nil {
		return nil, err
	}
	var added []string
	for _, crd := range wanted {
		if _, err := client.Get(ctx, crd.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			added = append(added, crd.Name)
		} else if err != nil {
			return nil, fmt.Errorf("reading definition %s: %w", crd.Name, err)
		}
	}
	if err := crds.Install(ctx, env.Config); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		for _, name := range added {
			if err := client.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
				return fmt.Errorf("deleting definition %s: %w", name, err)
			}
		}
		return nil
	}, nil
}

// withImages lays the images that were given over values.
func withImages(values map[string]any) map[string]any {
	set := func(image string, path ...string) {
		if image == "" {
			return
		}
		i := strings.LastIndex(image, ":")
		var below any = map[string]any{"image": map[string]any{"repository": image[:max(i, 0)], "tag": image[i+1:]}}
		for _, key := range slices.Backward(path) {
			below = map[string]any{key: below}
		}
		values = charttest.Merged(values, below.(map[string]any))
	}
	set(*certgen, "global", "certgen")
	set(*controllerManager, "registry", "controllerManager")
	set(*controllerManager, "workload", "controllerManager")
	set(*router, "networking", "kthenaRouter")
	return values
}
