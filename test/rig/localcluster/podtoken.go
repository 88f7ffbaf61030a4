package localcluster

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// tokenLife is how long a process's token is good for. The kubelet renews the one that it gives to a pod; here a process has
// one for its life, which is that of a test or a demo.
const tokenLife = 24 * time.Hour

// serviceAccount returns the name of the pod's service account.
func (p *pod) serviceAccount() string {
	if name := p.object.Spec.ServiceAccountName; name != "" {
		return name
	}
	return "default"
}

// writeKubeconfig writes a kubeconfig with a new token of the pod's service account and returns its path, or nothing when the
// account or the pod says that there is to be none. The token is bound to the pod, and so ends with it, when
// the pod names its account.
func (c *container) writeKubeconfig(ctx context.Context) (string, error) {
	p := c.pod
	name := p.serviceAccount()
	accounts := p.kubelet.client.CoreV1().ServiceAccounts(p.object.Namespace)
	wanted := p.object.Spec.AutomountServiceAccountToken
	if wanted == nil {
		account, err := accounts.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", fmt.Errorf("looking up the pod's service account: %w", err)
		}
		wanted = account.AutomountServiceAccountToken
	}
	if !deref(wanted, true) {
		return "", nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLife.Seconds()))}}
	// The API server binds a token to a pod that names the account only, and the admission plugin is off that would name the
	// default account in a pod that names none.
	if p.object.Spec.ServiceAccountName != "" {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.object.Name, UID: p.object.UID}
	}
	token, err := accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token of service account %s/%s: %w", p.object.Namespace, name, err)
	}
	api := p.kubelet.cluster.Config
	path := filepath.Join(c.dir(), "kubeconfig")
	err = writeKubeconfig(path, &rest.Config{
		Host:            api.Host,
		TLSClientConfig: rest.TLSClientConfig{CAData: api.CAData},
		BearerToken:     token.Status.Token,
	})
	if err != nil {
		return "", fmt.Errorf("writing the kubeconfig of container %s: %w", c.spec.Name, err)
	}
	return path, nil
}
