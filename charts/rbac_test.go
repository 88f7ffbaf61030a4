package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// What kthena-controller-manager may do in the whole cluster, whichever of its controllers it runs.
var controllerManagerRules = []string{
	"networking.serving.volcano.sh modelservers,modelroutes: create delete get list patch update watch",
	"workload.serving.volcano.sh autoscalingpolicies,modelservings,modelboosters: create delete get list patch update watch",
	"workload.serving.volcano.sh autoscalingpolicies/status,modelservings/status,modelboosters/status: get patch update",
	"apiextensions.k8s.io customresourcedefinitions: get list watch",
	"core pods: create delete deletecollection get list watch",
	"core services: create delete get list watch",
	"core events: create patch update",
	"apps controllerrevisions: create delete get list update",
	"scheduling.volcano.sh podgroups: create delete get list update watch",
	"leaderworkerset.x-k8s.io leaderworkersets,leaderworkersets/status: get list update watch",
}

var routerRules = []string{
	"networking.serving.volcano.sh modelroutes,modelservers: create delete get list patch update watch",
	"networking.serving.volcano.sh modelroutes/status,modelservers/status: get patch update",
	"core pods: get list watch",
	"core services,services/status: create delete get list patch update watch",
}

// What replicas need to elect the one that reconciles.
var leaseRules = []string{
	"coordination.k8s.io leases: create",
	"coordination.k8s.io leases [lease.kthena.controller-manager]: get update",
}

// What certgen needs in the namespace. The API cannot limit create to a name.
func certgenSecretRules(secret string) []string {
	return []string{"core secrets: create", "core secrets [" + secret + "]: get update delete", "core events: create"}
}

// What the pod of helm test needs in the namespace, besides trying to create Kthena's objects. The arguments are names.
func verifyRules(services, deployments, secrets string) []string {
	return []string{
		"core services [" + services + "]: get",
		"discovery.k8s.io endpointslices: list",
		"apps deployments [" + deployments + "]: get",
		"core secrets [" + secrets + "]: get",
	}
}

var (
	createRegistry   = []string{"workload.serving.volcano.sh modelboosters,autoscalingpolicies: create"}
	createWorkload   = []string{"workload.serving.volcano.sh modelservings: create"}
	createNetworking = []string{"networking.serving.volcano.sh modelroutes,modelservers: create"}
)

func TestRightsAreTheLeast(t *testing.T) {
	const (
		three = `{registry: {controllerManager: {replicas: 3}}, workload: {controllerManager: {replicas: 3}}, networking: {kthenaRouter: ` +
			`{replicas: 3}}}`

		certManager = "{global: {certManagementMode: cert-manager}, networking: {kthenaRouter: {tls: {enabled: true}}}}"

		patchMutating   = "admissionregistration.k8s.io mutatingwebhookconfigurations "
		patchValidating = "admissionregistration.k8s.io validatingwebhookconfigurations "
		listWebhooks    = "admissionregistration.k8s.io mutatingwebhookconfigurations,validatingwebhookconfigurations: list"
		readConfigMap   = "core configmaps [model-booster-controller-config]: get"
	)
	registryCertgen := []string{
		patchMutating + "[kthena-registry-mutating-webhook]: get patch",
		patchValidating + "[kthena-registry-validating-webhook]: get patch",
	}
	workloadCertgen := []string{patchValidating + "[kthena-workload-validating-webhook]: get patch"}
	routerCertgen := []string{patchValidating + "[kthena-networking-validating-webhook]: get patch"}

	for _, c := range []struct {
		name, values, account string
		cluster, namespace    []string
	}{
		{
			"registry by default", "{}", "kthena-registry",
			slices.Concat(controllerManagerRules, registryCertgen),
			slices.Concat([]string{readConfigMap}, certgenSecretRules("registry-webhook-certs-auto")),
		},
		{
			"registry with three replicas", three, "kthena-registry",
			slices.Concat(controllerManagerRules, registryCertgen),
			slices.Concat([]string{readConfigMap}, leaseRules, certgenSecretRules("registry-webhook-certs-auto")),
		},
		{"registry without webhooks", webhooksOff, "kthena-registry", controllerManagerRules, []string{readConfigMap}},
		{
			"registry with a Secret of another name", `{registry: {controllerManager: {webhook: {tls: {secretName: mine}}}}}`, "kthena-registry",
			slices.Concat(controllerManagerRules, registryCertgen),
			slices.Concat([]string{readConfigMap}, certgenSecretRules("mine-auto")),
		},
		{
			"workload by default", "{}", "kthena-workload",
			slices.Concat(controllerManagerRules, workloadCertgen),
			certgenSecretRules("workload-webhook-certs-auto"),
		},
		{
			"workload with three replicas, one of which may run the registry's controllers", three, "kthena-workload",
			slices.Concat(controllerManagerRules, workloadCertgen),
			slices.Concat([]string{readConfigMap}, leaseRules, certgenSecretRules("workload-webhook-certs-auto")),
		},
		{"workload without webhooks", webhooksOff, "kthena-workload", controllerManagerRules, nil},
		{
			"router by default", "{}", "kthena-router",
			slices.Concat(routerRules, routerCertgen),
			certgenSecretRules("networking-webhook-certs-auto"),
		},
		{
			"router with three replicas, which elect nobody", three, "kthena-router",
			slices.Concat(routerRules, routerCertgen),
			certgenSecretRules("networking-webhook-certs-auto"),
		},
		{"router without webhooks", webhooksOff, "kthena-router", routerRules, nil},
		{
			"router with TLS", "{networking: {kthenaRouter: {tls: {enabled: true}}}}", "kthena-router",
			slices.Concat(routerRules, routerCertgen),
			certgenSecretRules("networking-webhook-certs-auto kthena-router-tls-auto"),
		},
		{
			"router with TLS and without webhooks", "{networking: {kthenaRouter: {tls: {enabled: true}, webhook: {enabled: false}}}}",
			"kthena-router",
			routerRules, certgenSecretRules("kthena-router-tls-auto"),
		},
		{"registry in cert-manager mode", certManager, "kthena-registry", controllerManagerRules, []string{readConfigMap}},
		{"workload in cert-manager mode", certManager, "kthena-workload", controllerManagerRules, nil},
		{"router in cert-manager mode", certManager, "kthena-router", routerRules, nil},
		{"registry in manual mode", manual(t, ""), "kthena-registry", controllerManagerRules, []string{readConfigMap}},
		{"workload in manual mode", manual(t, ""), "kthena-workload", controllerManagerRules, nil},
		{"router in manual mode", manual(t, ", networking: {kthenaRouter: {tls: {enabled: true}}}"), "kthena-router", routerRules, nil},
		{
			"router with the Gateway API and its Inference Extension",
			`{networking: {kthenaRouter: {gatewayAPI: {enabled: true, inferenceExtension: true}}}}`, "kthena-router",
			slices.Concat(routerRules, []string{
				"gateway.networking.k8s.io gatewayclasses,gateways,httproutes: create delete get list patch update watch",
				"gateway.networking.k8s.io gatewayclasses/status,gateways/status,httproutes/status: get patch update",
				"inference.networking.k8s.io inferencepools: get list watch",
				"inference.networking.k8s.io inferencepools/status: get patch update",
				"core namespaces: get list watch",
			}, routerCertgen),
			certgenSecretRules("networking-webhook-certs-auto"),
		},
		{
			"router with the kind ExternalModelProvider", `{networking: {kthenaRouter: {externalModelProvider: {enabled: true}}}}`, "kthena-router",
			slices.Concat(routerRules, []string{
				"networking.serving.volcano.sh externalmodelproviders: get list watch",
				"networking.serving.volcano.sh externalmodelproviders/status: get patch update",
				"core secrets: list watch",
			}, routerCertgen),
			certgenSecretRules("networking-webhook-certs-auto"),
		},
		{"registry without roles of the chart", "{global: {rbac: {create: false}}}", "kthena-registry", nil, nil},
		{"workload without roles of the chart", "{global: {rbac: {create: false}}}", "kthena-workload", nil, nil},
		{"router without roles of the chart", "{global: {rbac: {create: false}}}", "kthena-router", nil, nil},
		{"helm test without roles of the chart", "{global: {rbac: {create: false}}}", "kthena-verify", nil, nil},
		{"helm test that is not wanted", "{global: {helmTest: {enabled: false}}}", "kthena-verify", nil, nil},
		{
			"an account of the user's",
			"{workload: {controllerManager: {serviceAccount: {create: false, name: mine}}}}", "mine",
			slices.Concat(controllerManagerRules, workloadCertgen),
			certgenSecretRules("workload-webhook-certs-auto"),
		},
		{
			"helm test by default", "{}", "kthena-verify", []string{listWebhooks},
			slices.Concat(verifyRules("registry-webhook workload-webhook networking-webhook", "kthena-router kthena-registry kthena-workload "+
				"kthena-certgen",
				"registry-webhook-certs-auto workload-webhook-certs-auto networking-webhook-certs-auto"), createRegistry, createWorkload,
				createNetworking),
		},
		{
			"helm test in cert-manager mode with TLS at the router", certManager, "kthena-verify", []string{listWebhooks},
			slices.Concat(verifyRules("registry-webhook workload-webhook networking-webhook "+
				"kthena-router", "kthena-router kthena-registry kthena-workload kthena-certgen",
				"registry-webhook-certs workload-webhook-certs networking-webhook-certs kthena-router-tls"), createRegistry, createWorkload,
				createNetworking),
		},
		{
			"helm test of one subchart", "{registry: {enabled: false}, networking: {enabled: false}}", "kthena-verify", []string{listWebhooks},
			slices.Concat(
				verifyRules("workload-webhook", "kthena-router kthena-workload kthena-certgen", "workload-webhook-certs-auto"), createWorkload,
			),
		},
		{"helm test where nothing serves TLS", webhooksOff, "kthena-verify", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			assertRights(t, render(t, c.values), c.account, c.cluster, c.namespace)
		})
	}
}

// assertRights requires that an account has these rights and no others, each written as rules writes it.
func assertRights(t *testing.T, objects []object, account string, inCluster, inNamespace []string) {
	t.Helper()
	var cluster, ns []string
	for _, b := range all[*rbacv1.ClusterRoleBinding](objects) {
		if binds(b.Subjects, account) {
			require.Equal(t, "ClusterRole", b.RoleRef.Kind)
			cluster = append(cluster, rules(named[*rbacv1.ClusterRole](t, objects, b.RoleRef.Name).Rules)...)
		}
	}
	for _, b := range all[*rbacv1.RoleBinding](objects) {
		if binds(b.Subjects, account) {
			require.Equal(t, "Role", b.RoleRef.Kind)
			assert.Equal(t, namespace, b.Namespace)
			ns = append(ns, rules(named[*rbacv1.Role](t, objects, b.RoleRef.Name).Rules)...)
		}
	}
	assert.ElementsMatch(t, inCluster, cluster, "in the cluster")
	assert.ElementsMatch(t, inNamespace, ns, "in the namespace")
}

func binds(subjects []rbacv1.Subject, account string) bool {
	return slices.Contains(subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace})
}

// rules writes every rule as one line: group resources [names]: verbs.
func rules(list []rbacv1.PolicyRule) []string {
	lines := make([]string, 0, len(list))
	for _, r := range list {
		group := strings.Join(r.APIGroups, ",")
		if group == corev1.GroupName {
			group = "core"
		}
		names := ""
		if len(r.ResourceNames) > 0 {
			names = fmt.Sprint(" ", r.ResourceNames)
		}
		if len(r.NonResourceURLs) > 0 {
			names += fmt.Sprint(" urls ", r.NonResourceURLs)
		}
		lines = append(lines, fmt.Sprintf("%s %s%s: %s", group, strings.Join(r.Resources, ","), names, strings.Join(r.Verbs, " ")))
	}
	return lines
}

func TestEveryRoleIsBoundAndEveryPodHasAnAccountOfItsOwn(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			objects := renderOptions(t, c.options)
			bound := map[string]bool{}
			for _, b := range all[*rbacv1.ClusterRoleBinding](objects) {
				bound[b.RoleRef.Kind+"/"+b.RoleRef.Name] = true
			}
			for _, b := range all[*rbacv1.RoleBinding](objects) {
				bound[b.RoleRef.Kind+"/"+b.RoleRef.Name] = true
			}
			for _, r := range all[*rbacv1.ClusterRole](objects) {
				if r.Labels["rbac.authorization.k8s.io/aggregate-to-edit"] == "true" {
					continue // the cluster's own roles take it up
				}
				assert.True(t, bound["ClusterRole/"+r.Name], r.Name)
			}
			for _, r := range all[*rbacv1.Role](objects) {
				assert.True(t, bound["Role/"+r.Name], r.Name)
				assert.NotEmpty(t, r.Rules, r.Name)
			}
			for name, pod := range pods(objects) {
				assert.Equal(t, name, pod.Spec.ServiceAccountName)
				named[*corev1.ServiceAccount](t, objects, name)
			}
		})
	}
}
