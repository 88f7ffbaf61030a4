package charttest

import (
	"context"
	"flag"
	"fmt"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
	"github.com/volcano-sh/kthena-certgen/test/rig/crds"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// Connected makes Main use a cluster that is there already; see Connect. Only tests that ask nothing of the local cluster can be
// run on it: make e2e-verify names them.
var Connected = flag.Bool("connected", false, "use the cluster that the current context of the kubeconfig leads to")

// Connect returns the cluster that the current context of the kubeconfig leads to, and adds Kthena's kinds where it has none.
// What disconnect returns takes away what was added. A cluster that has a release of Kthena is refused: the names of its
// webhook configurations belong to the whole cluster.
func Connect(ctx context.Context) (e *Environment, disconnect func(context.Context) error, err error) {
	root, err := controlplane.Root()
	if err != nil {
		return nil, nil, err
	}
	kubeconfig := clientcmd.NewDefaultClientConfigLoadingRules().GetDefaultFilename()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("reading kubeconfig %q: %w", kubeconfig, err)
	}
	// The probe's rate is its own.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("making a client: %w", err)
	}
	e = &Environment{Cluster: &localcluster.Cluster{Config: config, Client: client, Kubeconfig: kubeconfig}, Root: root}
	ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=kthena"}
	list, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, ours)
	if err != nil {
		return nil, nil, fmt.Errorf("listing validating webhook configurations on the cluster of kubeconfig %q: %w", kubeconfig, err)
	}
	for _, c := range list.Items {
		return nil, nil, fmt.Errorf("the cluster has a release of Kthena already, with %s: use another cluster, or uninstall it", c.Name)
	}
	disconnect, err = e.addKinds(ctx)
	return e, disconnect, err
}

// addKinds installs definitions of Kthena's kinds, and leaves alone those that are there.
func (e *Environment) addKinds(ctx context.Context) (remove func(context.Context) error, err error) {
	clients, err := apiextensions.NewForConfig(e.Config)
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
	if err := crds.Install(ctx, e.Config); err != nil {
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

// HasCertManager says whether the cluster serves cert-manager's kinds.
func (e *Environment) HasCertManager() bool {
	_, err := e.Client.Discovery().ServerResourcesForGroupVersion("cert-manager.io/v1")
	return err == nil
}
