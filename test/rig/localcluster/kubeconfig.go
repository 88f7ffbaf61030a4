package localcluster

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// tokenLife is how long a process's token is good for. The kubelet renews the one that it gives to a pod; here a process has
// one for its life, which is that of a test or a demo.
const tokenLife = 24 * time.Hour

// writeKubeconfig writes a kubeconfig file that says what config says.
func writeKubeconfig(path string, config *rest.Config) error {
	const name = "local"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
	}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	text, err := clientcmd.Write(*file)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// writeKubeconfig writes a kubeconfig with a new token of the pod's service account and returns its path, or nothing when the
// account or the pod says that there is to be none. The token is bound to the pod, and so ends with it, when the pod names its
// account.
func (c *container) writeKubeconfig(ctx context.Context) (string, error) {
	p := c.pod
	// The admission plugin is off that would name the account.
	name := cmp.Or(p.object.Spec.ServiceAccountName, "default")
	accounts := p.kubelet.client.CoreV1().ServiceAccounts(p.object.Namespace)
	account, err := accounts.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("looking up the pod's service account: %w", err)
	}
	if wanted := cmp.Or(p.object.Spec.AutomountServiceAccountToken, account.AutomountServiceAccountToken); !ptr.Deref(wanted, true) {
		return "", nil
	}
	request := authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLife.Seconds()))}
	if p.object.Spec.ServiceAccountName != "" {
		request.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.object.Name, UID: p.object.UID}
	}
	token, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{Spec: request}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token of service account %s/%s: %w", p.object.Namespace, name, err)
	}
	api := p.kubelet.cluster.Config
	path := filepath.Join(c.dir(), "kubeconfig")
	err = writeKubeconfig(path, &rest.Config{
		Host: api.Host, TLSClientConfig: rest.TLSClientConfig{CAData: api.CAData}, BearerToken: token.Status.Token,
	})
	if err != nil {
		return "", fmt.Errorf("writing the kubeconfig of container %s: %w", c.spec.Name, err)
	}
	return path, nil
}
