package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

const secretName = "webhook-certs"

// entries are those of each webhook configuration.
var entries = []string{"one.example.com", "two.example.com"}

// site is where one contender works: a namespace with a service account that may do anything, and what a chart leaves
// for a bootstrap to fill, two webhook configurations of two entries each.
type site struct {
	cluster *localcluster.Cluster
	// name is that of the namespace, the service account, the cluster role binding and the two configurations.
	name  string
	token string
}

func newSite(ctx context.Context, cluster *localcluster.Cluster, number int) (*site, error) {
	s := &site{cluster: cluster, name: fmt.Sprintf("contender-%d", number)}
	meta := metav1.ObjectMeta{Name: s.name}
	client := cluster.Client
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if _, err := client.CoreV1().ServiceAccounts(s.name).Create(
		ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{},
	); err != nil {
		return nil, err
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.name, Name: s.name}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	token, err := client.CoreV1().ServiceAccounts(s.name).CreateToken(ctx, s.name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	s.token = token.Status.Token
	return s, s.reset(ctx)
}

func (s *site) user() string { return "system:serviceaccount:" + s.name + ":" + s.name }
func (s *site) dns() string  { return "webhook." + s.name + ".svc" }

// writeKubeconfig writes a kubeconfig to dir, in JSON, which is YAML too, so that the floor needs no YAML.
func (s *site) writeKubeconfig(dir, server string) (string, error) {
	named := func(kind string, v any) []any { return []any{map[string]any{"name": "bench", kind: v}} }
	data, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "bench",
		"clusters": named("cluster", map[string]any{"server": server, "certificate-authority-data": s.cluster.Config.CAData}),
		"users":    named("user", map[string]any{"token": s.token}),
		"contexts": named("context", map[string]any{"cluster": "bench", "user": "bench", "namespace": s.name}),
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, s.name+".kubeconfig")
	return path, os.WriteFile(path, data, 0o600)
}

// reset makes everything as it is before the first bootstrap.
func (s *site) reset(ctx context.Context) error {
	all := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	mine := metav1.ListOptions{FieldSelector: "metadata.name=" + s.name}
	admission := s.cluster.Client.AdmissionregistrationV1()
	if err := errors.Join(
		s.cluster.Client.CoreV1().Secrets(s.name).DeleteCollection(ctx, all, metav1.ListOptions{}),
		s.cluster.Client.EventsV1().Events(s.name).DeleteCollection(ctx, all, metav1.ListOptions{}),
		admission.MutatingWebhookConfigurations().DeleteCollection(ctx, all, mine),
		admission.ValidatingWebhookConfigurations().DeleteCollection(ctx, all, mine),
	); err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Name: s.name}
	to := admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: s.name, Name: "webhook"}}
	nobodies := []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.Create},
		Rule:       admissionv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"nobodies"}},
	}}
	mutating := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta}
	validating := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta}
	for _, name := range entries {
		mutating.Webhooks = append(mutating.Webhooks, admissionv1.MutatingWebhook{
			Name: name, ClientConfig: to, Rules: nobodies, AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(
				admissionv1.SideEffectClassNone,
			),
		})
		validating.Webhooks = append(validating.Webhooks, admissionv1.ValidatingWebhook{
			Name: name, ClientConfig: to, Rules: nobodies, AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(
				admissionv1.SideEffectClassNone,
			),
		})
	}
	if _, err := admission.MutatingWebhookConfigurations().Create(ctx, mutating, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := admission.ValidatingWebhookConfigurations().Create(ctx, validating, metav1.CreateOptions{})
	return err
}

// verify looks at what runs of c have left behind.
func (s *site) verify(ctx context.Context, c contender, dirs ...string) error {
	secret, err := s.cluster.Client.CoreV1().Secrets(s.name).Get(ctx, secretName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	admission := s.cluster.Client.AdmissionregistrationV1()
	mutating, err := admission.MutatingWebhookConfigurations().Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	validating, err := admission.ValidatingWebhookConfigurations().Get(ctx, s.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	l := left{secret: secret.Data, dirs: dirs}
	for _, w := range mutating.Webhooks {
		l.bundles = append(l.bundles, w.ClientConfig.CABundle)
	}
	for _, w := range validating.Webhooks {
		l.bundles = append(l.bundles, w.ClientConfig.CABundle)
	}
	return c.check(l, s.dns())
}
