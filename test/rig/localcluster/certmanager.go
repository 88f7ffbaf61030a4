package localcluster

import (
	"context"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

// CertManagerNamespace holds the Secrets that a ClusterIssuer names, as in cert-manager's own installation.
const CertManagerNamespace = "cert-manager"

// certManagerUser is the user of cert-manager's controllers and CA injector.
const certManagerUser = "cert-manager"

var (
	issuers      = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "issuers"}
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
)

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
	config, err := c.userConfig(certManagerUser, "system:masters")
	if err != nil {
		return err
	}
	program := Program{
		Name: "certmanager", Path: filepath.Join(dir, "certmanager"), Args: []string{"--kubeconfig=" + c.programKubeconfig("certmanager")},
	}
	if err := c.startProgram(program, config); err != nil {
		return err
	}
	return c.issueCertificate(ctx)
}

// issueCertificate waits until cert-manager has issued a certificate, and removes what was needed for that.
func (c *Cluster) issueCertificate(ctx context.Context) error {
	const name = "startup"
	client, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		return fmt.Errorf("creating a client for certificates: %w", err)
	}
	objects := []struct {
		client dynamic.ResourceInterface
		kind   string
		spec   map[string]any
	}{
		{client.Resource(issuers).Namespace(CertManagerNamespace), "Issuer", map[string]any{"selfSigned": map[string]any{}}},
		{client.Resource(certificates).Namespace(CertManagerNamespace), "Certificate", map[string]any{
			"secretName": name, "dnsNames": []any{name}, "issuerRef": map[string]any{"name": name},
		}},
	}
	for _, o := range objects {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cert-manager.io/v1", "kind": o.kind, "metadata": map[string]any{"name": name}, "spec": o.spec,
		}}
		if _, err := o.client.Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating %s %s/%s: %w", o.kind, CertManagerNamespace, name, err)
		}
	}
	if err := await(ctx, "cert-manager to issue a certificate", func(ctx context.Context) (bool, error) {
		certificate, err := objects[1].client.Get(ctx, name, metav1.GetOptions{})
		return err == nil && ready(certificate), err
	}); err != nil {
		return err
	}
	for _, o := range objects {
		if err := o.client.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting %s %s/%s: %w", o.kind, CertManagerNamespace, name, err)
		}
	}
	err = c.Client.CoreV1().Secrets(CertManagerNamespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting secret %s/%s: %w", CertManagerNamespace, name, err)
	}
	return nil
}

// ready reports whether the object's condition Ready is True.
func ready(object *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Ready" {
			return c["status"] == "True"
		}
	}
	return false
}
