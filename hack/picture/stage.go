package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

const (
	release   = "kthena"
	namespace = "kthena-system"
	// controller is the name of the controller's Deployment and service account.
	controller = "kthena-certgen"
	replicas   = 3
	// patience is how long a step may take on a busy machine.
	patience = 3 * time.Minute
)

// onStage does something with a release of the chart on a cluster that is there for it alone.
func onStage(ctx context.Context, values map[string]any, do func(context.Context, *charttest.Environment) error) (err error) {
	env, err := charttest.Start(ctx, charttest.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := env.Stop(); err == nil {
			err = stopErr
		}
	}()
	meta := metav1.ObjectMeta{Name: namespace}
	if _, err := env.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", namespace, err)
	}
	if err := env.LetForward(ctx, namespace, controller); err != nil {
		return err
	}
	client, err := helm.New(env.Kubeconfig, namespace)
	if err != nil {
		return err
	}
	// The five minutes that the router gives its streams are not waited for.
	values = charttest.Merged(charttest.PerComponent(map[string]any{"replicas": replicas, "preStopSeconds": 5}), values)
	if _, err := client.Install(ctx, release, env.Chart(), values, helm.ReleaseOptions{Wait: true, Timeout: patience}); err != nil {
		return err
	}
	// Helm is content when one replica is missing.
	for _, name := range charttest.Deployments {
		if err := awaitPods(ctx, env, name, replicas); err != nil {
			return err
		}
	}
	if err := awaitPods(ctx, env, controller, 1); err != nil {
		return err
	}
	return do(ctx, env)
}

// awaitPods waits until so many pods of a Deployment are available, and there are no others.
func awaitPods(ctx context.Context, env *charttest.Environment, name string, n int32) error {
	return await(ctx, fmt.Sprintf("%d pods of deployment %s", n, name), func(ctx context.Context) (bool, error) {
		d, err := env.Client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("reading deployment %s/%s: %w", namespace, name, err)
		}
		return d.Status.ObservedGeneration == d.Generation && d.Status.AvailableReplicas == n && d.Status.Replicas == n, nil
	})
}

// await asks again and again until the answer is yes.
func await(ctx context.Context, what string, ask func(context.Context) (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, ask)
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf("waited in vain for %s for %s", what, patience)
	}
	return err
}
