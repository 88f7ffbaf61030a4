package localcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	// defaultVolumeDelay is the kubelet's sync period.
	defaultVolumeDelay = time.Minute
	// retryInterval is the wait before another try of what has failed for a reason outside the pod, such as a Secret that is missing: a
	// kubelet waits for half a second, then twice as long each time.
	retryInterval = time.Second
)

// PodOptions says how pods are run.
type PodOptions struct {
	// Images are needed.
	Images Images
	// VolumeDelay is how far the files of running pods may be behind the Secret or ConfigMap they come from: 1 minute without it,
	// the kubelet's sync period.
	VolumeDelay time.Duration
}

// Kubelet runs the cluster's pods as processes of this machine. It is the scheduler, too: every pod goes to the one node.
//
// A container is the program that stands for its image ([Images]), with exactly the arguments and the environment of the
// pod, but for three things. A path below one of its mounts becomes the path of that volume's folder. KUBECONFIG names a
// file with the API server's address, its CA and a token of the pod's service account, and nothing else. And a program listens
// on free ports of this machine, see [container.ports].
//
// Nothing is isolated: the process sees this machine's file system as this machine's user, and limits of resources are not
// enforced. What a pod asks for that would make a difference and is not done is refused in its status, see [handled]. Why a pod
// waits is in the message of its condition Ready.
type Kubelet struct {
	cluster *Cluster
	client  kubernetes.Interface
	options PodOptions

	ctx     context.Context // ends with the kubelet
	running sync.WaitGroup

	mu   sync.Mutex
	pods map[types.NamespacedName]*pod // the latest of each name, ended or not
}

// RunPods runs the cluster's pods until ctx ends or the cluster stops. Then their processes are killed, with no word to the API
// server, as when a node loses its power; [Kubelet.Wait] waits for that. Call it once.
func (c *Cluster) RunPods(ctx context.Context, options PodOptions) (*Kubelet, error) {
	if options.VolumeDelay == 0 {
		options.VolumeDelay = defaultVolumeDelay
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
	k := &Kubelet{cluster: c, client: client, options: options, ctx: ctx, pods: map[types.NamespacedName]*pod{}}
	c.atStop(func() error {
		cancel()
		k.Wait()
		return nil
	})
	if err := k.serve(); err != nil {
		return nil, err
	}
	if err := k.watch(); err != nil {
		return nil, err
	}
	return k, nil
}

// imageDir is the folder with the programs that stand for images.
func (c *Cluster) imageDir() string { return filepath.Join(c.Dir, "images") }

// Wait waits until the kubelet has ended, and all of its processes.
func (k *Kubelet) Wait() {
	<-k.ctx.Done()
	k.running.Wait()
}

// watch starts to look at pods.
func (k *Kubelet) watch() error {
	factory := informers.NewSharedInformerFactory(k.client, 0)
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.see(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { k.see(o.(*corev1.Pod)) },
		DeleteFunc: k.gone,
	})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	factory.Start(k.ctx.Done())
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
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	p := k.pods[name]
	switch {
	case k.ctx.Err() != nil:
	case object.Spec.NodeName == "":
		k.running.Go(func() { k.bind(object) })
	case object.Spec.NodeName != NodeName:
	case p != nil && p.object.UID == object.UID:
		p.see(object)
	default:
		if p != nil {
			p.forget()
		}
		p = newPod(k, object)
		k.pods[name] = p
		p.see(object)
		k.running.Go(p.run)
	}
}

// gone takes note of a pod that is not in the API any more: its end, or removed by force.
func (k *Kubelet) gone(o any) {
	if name, err := cache.DeletionHandlingObjectToName(o); err == nil {
		if p := k.pod(name.Namespace, name.Name); p != nil {
			p.forget()
		}
	}
}

// pod returns the latest pod of a name, or nil.
func (k *Kubelet) pod(namespace, name string) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pods[types.NamespacedName{Namespace: namespace, Name: name}]
}

// bind is all there is of a scheduler.
func (k *Kubelet) bind(object *corev1.Pod) {
	err := k.client.CoreV1().Pods(object.Namespace).Bind(k.ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: object.Namespace, Name: object.Name, UID: object.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: NodeName},
	}, metav1.CreateOptions{})
	// A conflict says that it is bound already: it was seen twice before the first binding had come back.
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		k.logError("binding a pod", object, err)
	}
}

// logError logs what has gone wrong with a pod; at the kubelet's end, everything does.
func (k *Kubelet) logError(doing string, object *corev1.Pod, err error) {
	if k.ctx.Err() == nil {
		k.cluster.log.Error("running a pod", "doing", doing, "pod", object.Namespace+"/"+object.Name, "error", err)
	}
}

// Logs returns what the container, an init container too, of the latest pod of that name has written to its standard output and
// its standard error, over all restarts. That the pod has ended is no matter.
func (k *Kubelet) Logs(namespace, podName, containerName string) ([]byte, error) {
	p := k.pod(namespace, podName)
	if p == nil {
		return nil, fmt.Errorf("reading the log of pod %s/%s: no pod of that name has been run", namespace, podName)
	}
	for _, c := range p.containers {
		if c.spec.Name != containerName {
			continue
		}
		content, err := os.ReadFile(c.logFile())
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("reading the log of container %s: %w", containerName, err)
		}
		return content, nil
	}
	return nil, fmt.Errorf("reading the log of pod %s/%s: it has no container %s", namespace, podName, containerName)
}

// sleep waits, and reports whether ctx still goes on then.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return ctx.Err() == nil
}
