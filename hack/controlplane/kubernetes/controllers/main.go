// Command controllers runs the few controllers of Kubernetes that a local cluster needs: they turn Deployments into Pods, find
// the endpoints of Services, give every namespace its default service account, empty a namespace that is deleted, delete what
// belongs to a deleted owner, and check the types of admission policies. The code is Kubernetes' own; only kube-controller-manager's
// other forty controllers and their dependencies are left out, so that the build stays small.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/controller/validatingadmissionpolicystatus"
)

const (
	// workers is how many objects each controller works on at once: kube-controller-manager's own default for most of them.
	workers = 5
	// maxEndpointsPerSlice is kube-controller-manager's default.
	maxEndpointsPerSlice = 100
	// discoveryPeriod is how often the garbage collector looks for new kinds of objects: a tenth of kube-controller-manager's
	// value, since the clusters here live for minutes.
	discoveryPeriod = 3 * time.Second
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the kubeconfig file of a user who may do everything")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *kubeconfig)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "controllers: error:", err)
		os.Exit(1)
	}
}

// run runs the controllers until ctx ends.
func run(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading kubeconfig %q: %w", kubeconfig, err)
	}
	// The API server is the only one to protect itself: with client-go's default of 5 requests a second the cluster
	// would be slower than any real one.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("creating the client: %w", err)
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("creating the metadata client: %w", err)
	}

	factory := informers.NewSharedInformerFactory(client, 0)
	started := make(chan struct{})
	controllers, err := newControllers(ctx, client, objects, factory, started)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	close(started)

	var wg sync.WaitGroup
	for _, controller := range controllers {
		wg.Go(func() { controller(ctx) })
	}
	wg.Wait()
	return nil
}

// newControllers makes every controller. Their informers are in factory and are started by the caller, who closes started then.
func newControllers(ctx context.Context, client kubernetes.Interface, objects metadata.Interface,
	factory informers.SharedInformerFactory, started <-chan struct{}) ([]func(context.Context), error) {
	pods := factory.Core().V1().Pods()
	replicaSets := factory.Apps().V1().ReplicaSets()

	deployments, err := deployment.NewDeploymentController(ctx, factory.Apps().V1().Deployments(), replicaSets, pods, client)
	if err != nil {
		return nil, fmt.Errorf("creating the deployment controller: %w", err)
	}
	replicas := replicaset.NewReplicaSetController(ctx, replicaSets, pods, client, replicaset.BurstReplicas)
	endpoints := endpointslice.NewController(ctx, pods, factory.Core().V1().Services(), factory.Core().V1().Nodes(),
		factory.Discovery().V1().EndpointSlices(), maxEndpointsPerSlice, client, 0)
	accounts, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx), factory.Core().V1().ServiceAccounts(),
		factory.Core().V1().Namespaces(), client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, fmt.Errorf("creating the service account controller: %w", err)
	}
	namespaces := namespace.NewNamespaceController(ctx, client, objects, client.Discovery().ServerPreferredNamespacedResources,
		factory.Core().V1().Namespaces(), 5*time.Minute, corev1.FinalizerKubernetes)
	policies, err := newPolicyStatus(client, factory)
	if err != nil {
		return nil, err
	}
	garbage, err := newGarbageCollector(ctx, client, objects, factory, started)
	if err != nil {
		return nil, err
	}
	return []func(context.Context){
		func(ctx context.Context) { deployments.Run(ctx, workers) },
		func(ctx context.Context) { replicas.Run(ctx, workers) },
		func(ctx context.Context) { endpoints.Run(ctx, workers) },
		func(ctx context.Context) { accounts.Run(ctx, 1) },
		func(ctx context.Context) { namespaces.Run(ctx, workers) },
		func(ctx context.Context) { policies.Run(ctx, workers) },
		func(ctx context.Context) { garbage.Run(ctx, workers, discoveryPeriod) },
		func(ctx context.Context) { garbage.Sync(ctx, client.Discovery(), discoveryPeriod) },
	}, nil
}

// newPolicyStatus makes the controller that writes into the status of admission policies what is wrong with the types of their
// expressions.
func newPolicyStatus(client kubernetes.Interface, factory informers.SharedInformerFactory) (*validatingadmissionpolicystatus.Controller,
	error) {
	checker := &validating.TypeChecker{
		SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: client.Discovery()},
		RestMapper:     restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
	}
	controller, err := validatingadmissionpolicystatus.NewController(
		factory.Admissionregistration().V1().ValidatingAdmissionPolicies(),
		client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), checker)
	if err != nil {
		return nil, fmt.Errorf("creating the admission policy status controller: %w", err)
	}
	return controller, nil
}

// newGarbageCollector makes the garbage collector, which follows every kind of object there is and so brings its own informers.
func newGarbageCollector(ctx context.Context, client kubernetes.Interface, objects metadata.Interface,
	factory informers.SharedInformerFactory, started <-chan struct{}) (*garbagecollector.GarbageCollector, error) {
	var mapper meta.ResettableRESTMapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	all := informerfactory.NewInformerFactory(factory, metadatainformer.NewSharedInformerFactory(objects, 0))
	collector, err := garbagecollector.NewGarbageCollector(
		ctx, client, objects, mapper, garbagecollector.DefaultIgnoredResources(), all, started,
	)
	if err != nil {
		return nil, fmt.Errorf("creating the garbage collector: %w", err)
	}
	return collector, nil
}
