package localcluster

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

// What the kubelet's own defaults are.
const (
	defaultVolumeDelay    = time.Minute
	defaultRestartBackoff = 10 * time.Second
)

// PodOptions says how pods are run. Images are needed, the rest has the kubelet's defaults.
type PodOptions struct {
	Images Images
	// VolumeDelay is the time from a change of a Secret or ConfigMap to the change of the files of running pods: 1 minute
	// without it, the kubelet's sync period. It takes up to half as long again on a real node, which syncs at a random moment.
	VolumeDelay time.Duration
	// RestartBackoff is the wait before the second restart of a container, 10 seconds without it. The first restart is at
	// once, and the wait doubles with every other up to 30 times RestartBackoff.
	RestartBackoff time.Duration
}

// retryInterval is the wait before another try of what has failed for a reason outside the pod.
const retryInterval = time.Second

// Kubelet runs the cluster's pods as processes of this machine. It is the scheduler, too: every pod goes to the one node.
//
// A container is the program that stands for its image ([Images]), with exactly the arguments and the environment of the
// pod, but for three things. A path below one of its mounts becomes the path of that volume's folder. KUBECONFIG names a
// file with the API server's address, its CA and a token of the pod's service account, and nothing else. And
// STANDIN_LISTEN_HOST and STANDIN_PORTS_FILE tell it to listen on free ports and to write down which.
//
// Nothing is isolated: the process sees this machine's file system as this machine's user, and limits of resources are not
// enforced. What a pod asks for that would make a difference and is not done is refused with an event and in the status.
type Kubelet struct {
	cluster *Cluster
	client  kubernetes.Interface
	options PodOptions
	log     *slog.Logger
	events  record.EventRecorder

	changed broadcast // of a Secret or ConfigMap

	ctx     context.Context // ends with the kubelet
	running sync.WaitGroup

	mu   sync.Mutex
	pods map[types.UID]*pod
	last map[types.NamespacedName]*pod // the latest of each name, ended or not
}

// RunPods runs the cluster's pods until ctx ends or the cluster stops. Then their processes are killed, with no word to the API
// server, as when a node loses its power; [Kubelet.Wait] waits for that. Call it once.
func (c *Cluster) RunPods(ctx context.Context, options PodOptions) (*Kubelet, error) {
	if options.VolumeDelay == 0 {
		options.VolumeDelay = defaultVolumeDelay
	}
	if options.RestartBackoff == 0 {
		options.RestartBackoff = defaultRestartBackoff
	}
	// A real kubelet may touch what belongs to its node alone; this one is the scheduler, too.
	config, err := c.userConfig(kubeletUser, "system:masters")
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating the kubelet's client: %w", err)
	}
	if err := options.Images.pull(c.imageDir()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	factory := informers.NewSharedInformerFactory(client, 0)
	k := &Kubelet{
		cluster: c, client: client, options: options, log: c.log,
		events: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: NodeName}),
		ctx:    ctx,
		pods:   map[types.UID]*pod{},
		last:   map[types.NamespacedName]*pod{},
	}
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	if err := k.watch(factory); err != nil {
		cancel()
		return nil, err
	}
	if err := k.serveStreaming(); err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, broadcaster.Shutdown)
	c.undo = append(c.undo, func() error {
		cancel()
		k.Wait()
		return nil
	})
	return k, nil
}

// imageDir is the folder with the programs that stand for images.
func (c *Cluster) imageDir() string { return filepath.Join(c.Dir, "images") }

// Wait waits until the kubelet has ended, and all of its processes.
func (k *Kubelet) Wait() {
	<-k.ctx.Done()
	k.running.Wait()
}

// watch starts to look at pods and what they mount.
func (k *Kubelet) watch(factory informers.SharedInformerFactory) error {
	configs := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { k.changed.send() },
		UpdateFunc: func(any, any) { k.changed.send() },
	}
	pods := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.see(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { k.see(o.(*corev1.Pod)) },
		DeleteFunc: k.gone,
	}
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		factory.Core().V1().Secrets().Informer():    configs,
		factory.Core().V1().ConfigMaps().Informer(): configs,
		factory.Core().V1().Pods().Informer():       pods,
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watching what pods need: %w", err)
		}
	}
	factory.Start(k.ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(k.ctx.Done()) {
		if !synced {
			return fmt.Errorf("listing %s: %w", kind, context.Cause(k.ctx))
		}
	}
	k.running.Go(func() {
		<-k.ctx.Done()
		factory.Shutdown()
	})
	return nil
}

// see takes note of the current state of a pod.
func (k *Kubelet) see(object *corev1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.ctx.Err() != nil:
	case object.Spec.NodeName == "":
		k.running.Go(func() { k.bind(object) })
	case k.pods[object.UID] != nil:
		k.pods[object.UID].see(object)
	default:
		p := newPod(k, object)
		k.pods[object.UID] = p
		k.last[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}] = p
		k.running.Go(p.run)
	}
}

// gone takes note of a pod that is not in the API any more: its end, or removed by force.
func (k *Kubelet) gone(o any) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	object := o.(*corev1.Pod)
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.pods[object.UID]; p != nil {
		delete(k.pods, object.UID)
		p.remove()
	}
}

// bind is all there is of a scheduler.
func (k *Kubelet) bind(object *corev1.Pod) {
	err := k.client.CoreV1().Pods(object.Namespace).Bind(k.ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: object.Namespace, Name: object.Name, UID: object.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: NodeName},
	}, metav1.CreateOptions{})
	// A conflict says that it is bound already: it was seen twice before the first binding had come back.
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && k.ctx.Err() == nil {
		k.log.Error("binding a pod", "pod", object.Namespace+"/"+object.Name, "error", err)
	}
}

// Logs returns what the container, an init container too, of the latest pod of that name has written to its standard output and
// its standard error, over all restarts. That the pod has ended is no matter.
func (k *Kubelet) Logs(namespace, podName, container string) ([]byte, error) {
	k.mu.Lock()
	p := k.last[types.NamespacedName{Namespace: namespace, Name: podName}]
	k.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("reading the log of pod %s/%s: no pod of that name has been run", namespace, podName)
	}
	return p.logs(container)
}

// broadcast tells any number of goroutines of an event. The zero value is ready.
type broadcast struct {
	mu   sync.Mutex
	next chan struct{}
}

// wait returns a channel that is closed by the next send. Call it before looking at what may change.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// send wakes all that wait.
func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
