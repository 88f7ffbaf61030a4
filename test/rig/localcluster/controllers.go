package localcluster

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// NodeName is the name of the cluster's one node.
const NodeName = "local"

// Users of the parts that play Kubernetes' own components. The audit policy keeps them out of the log.
const (
	controllersUser = "system:kube-controller-manager"
	proxyUser       = "system:kube-proxy"
	kubeletUser     = "system:node:" + NodeName
)

// startControllers starts Kubernetes' controllers, one program.
func (c *Cluster) startControllers(program string) error {
	// In a real cluster each controller has an account of its own; here they share one, which needs the rights of all.
	config, err := c.userConfig(controllersUser, "system:masters")
	if err != nil {
		return err
	}
	const name = "controllers"
	return c.startProgram(Program{Name: name, Path: program, Args: []string{"--kubeconfig=" + c.programKubeconfig(name)}}, config)
}

// populate creates the node and waits for what every cluster has and tests rely on.
func (c *Cluster) populate(ctx context.Context) error {
	if err := c.createNode(ctx); err != nil {
		return err
	}
	if err := await(ctx, "kube-apiserver to be ready", func(ctx context.Context) (bool, error) {
		// That includes the built-in roles, and answers 500 until then.
		var code int
		c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&code)
		return code == http.StatusOK, nil
	}); err != nil {
		return err
	}
	return await(ctx, "the default service account", func(ctx context.Context) (bool, error) {
		_, err := c.Client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// createNode creates the node, as a ready one. Without it no pod is counted among the endpoints of a Service.
func (c *Cluster) createNode(ctx context.Context) error {
	node, err := c.Client.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: NodeName, Labels: map[string]string{corev1.LabelHostname: NodeName}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating node %s: %w", NodeName, err)
	}
	now := metav1.Now()
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Started", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	// By these the API server finds the kubelet, through its egress.
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: NodeName}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = kubeletPort
	if _, err := c.Client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("updating the status of node %s: %w", NodeName, err)
	}
	return nil
}

// await asks for a condition until it holds. What names it in the error.
func await(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	if err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, condition); err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}
