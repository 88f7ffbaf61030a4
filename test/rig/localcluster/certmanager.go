package localcluster

import (
	"context"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

// CertManagerNamespace holds the Secrets that a ClusterIssuer names, as in cert-manager's own installation.
const CertManagerNamespace = "cert-manager"

// StartCertManager adds cert-manager to the cluster: the definitions of its kinds, its controllers for certificates of
// self-signed and CA issuers, and its CA injector, which all must have been built. It returns when a certificate has been
// issued. cert-manager's webhook, which only refuses malformed objects, is not there.
func (c *Cluster) StartCertManager(ctx context.Context) error {
	dir, err := controlplane.Find(controlplane.CertManager)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if _, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(dir, "crds")}, ErrorIfPathMissing: true, MaxTime: startTimeout,
	}); err != nil {
		return fmt.Errorf("installing cert-manager's definitions: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: CertManagerNamespace}}
	if _, err := c.Client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", CertManagerNamespace, err)
	}
	if err := c.StartProgram(Program{
		Name: "cert-manager", Path: filepath.Join(dir, "certmanager"), Args: []string{"--kubeconfig=" + c.programKubeconfig("cert-manager")},
	}); err != nil {
		return err
	}
	return c.issueCertificate(ctx)
}

// issueCertificate waits until cert-manager has issued a certificate, in a namespace that goes away again.
func (c *Cluster) issueCertificate(ctx context.Context) error {
	const name = "cert-manager-startup"
	namespaces, rest := c.Client.CoreV1().Namespaces(), c.Client.Discovery().RESTClient()
	if _, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	for _, object := range []struct{ resource, kind, spec string }{
		{"issuers", "Issuer", `{"selfSigned": {}}`},
		{"certificates", "Certificate", `{"secretName": "startup", "dnsNames": ["startup"], "issuerRef": {"name": "startup"}}`},
	} {
		const format = `{"apiVersion": "cert-manager.io/v1", "kind": %q, "metadata": {"name": "startup"}, "spec": %s}`
		body := fmt.Appendf(nil, format, object.kind, object.spec)
		if err := rest.Post().AbsPath("/apis/cert-manager.io/v1/namespaces", name, object.resource).Body(body).Do(ctx).Error(); err != nil {
			return fmt.Errorf("creating an object of kind %s: %w", object.kind, err)
		}
	}
	if err := await(ctx, "cert-manager to issue a certificate", func(ctx context.Context) (bool, error) {
		_, err := c.Client.CoreV1().Secrets(name).Get(ctx, "startup", metav1.GetOptions{})
		return err == nil, client.IgnoreNotFound(err)
	}); err != nil {
		return err
	}
	if err := namespaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting namespace %s: %w", name, err)
	}
	return nil
}
