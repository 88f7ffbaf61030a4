package charts

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

func TestTheRouterServesHTTPSOnRequest(t *testing.T) {
	for _, c := range []struct {
		name, values string
		scheme       corev1.URIScheme
		args         []string
	}{
		{"without TLS it serves HTTP", "{}", corev1.URISchemeHTTP, nil},
		{"with TLS it serves HTTPS", "{networking: {kthenaRouter: {tls: {enabled: true}, webhook: {enabled: false}}}}", corev1.URISchemeHTTPS,
			[]string{"--tls-cert=/etc/router-tls/tls.crt", "--tls-key=/etc/router-tls/tls.key"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects := render(t, c.values)
			server := deployments(objects)["kthena-router"].Spec.Template.Spec.Containers[0]
			assert.Equal(t, c.scheme, server.ReadinessProbe.HTTPGet.Scheme)
			assert.Equal(t, c.scheme, server.LivenessProbe.HTTPGet.Scheme)
			if len(c.args) > 0 {
				assert.Subset(t, server.Args, c.args)
				assert.Equal(t, c.scheme, server.StartupProbe.HTTPGet.Scheme)
			} else {
				for _, arg := range server.Args {
					assert.NotContains(t, arg, "/etc/router-tls")
				}
			}
			ports := named[*corev1.Service](t, objects, "kthena-router").Spec.Ports
			require.Len(t, ports, 1)
			assert.EqualValues(t, 80, ports[0].Port, "callers find it where it was")
		})
	}
}

func TestTheRoutersCertificateHasItsOutsideNameAndThoseOfItsService(t *testing.T) {
	inCluster := []string{"kthena-router.kthena-system.svc", "kthena-router.kthena-system.svc.cluster.local"}
	for name, c := range map[string]struct {
		tls  string
		want []string
	}{
		"with a name":    {"{enabled: true, dnsName: llm.example.com}", append([]string{"llm.example.com"}, inCluster...)},
		"without a name": {"{enabled: true}", inCluster},
	} {
		t.Run(name, func(t *testing.T) {
			router := "networking: {kthenaRouter: {tls: " + c.tls + "}}"
			pod := deployments(render(t, "{"+router+"}"))["kthena-router"].Spec.Template.Spec
			var got []string
			for _, arg := range container(t, pod.InitContainers, "certgen-router").Args {
				if name, ok := cutFlag(arg, "--dns-name"); ok {
					got = append(got, name)
				}
			}
			assert.Equal(t, c.want, got, "auto")

			objects := render(t, "{global: {certManagementMode: cert-manager}, "+router+"}")
			var want []any
			for _, name := range c.want {
				want = append(want, name)
			}
			assert.Equal(t, want, spec(t, objects, "Certificate", "networking-router-cert")["dnsNames"], "cert-manager")
		})
	}
}

// In auto mode the router's certificate has a Secret, a run of certgen and a folder of its own, and no webhook trusts it.
func TestTheRoutersCertificateIsApartFromTheWebhooks(t *testing.T) {
	pod := deployments(render(t, "{networking: {kthenaRouter: {tls: {enabled: true}}}}"))["kthena-router"].Spec.Template.Spec
	require.Len(t, pod.InitContainers, 2)
	certgen := container(t, pod.InitContainers, "certgen-router")
	assert.Contains(t, certgen.Args, "--secret-name=kthena-router-tls-auto")
	for _, arg := range certgen.Args {
		assert.NotContains(t, arg, "webhook-configuration")
	}
	assert.Equal(t, []corev1.VolumeMount{{Name: "router-certs", MountPath: "/certs"}}, certgen.VolumeMounts)
	assert.Contains(t, pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "router-certs", MountPath: "/etc/router-tls", ReadOnly: true})
}

func TestAnAccessLogThatIsAFileHasAFolderToBeIn(t *testing.T) {
	for _, c := range []struct {
		name, values string
		folder       string
	}{
		{"standard output needs none", "{}", ""},
		{"a file has an empty volume", "{accessLog: {output: /var/log/kthena/access.log}}", "/var/log/kthena"},
		{"a log that is off needs none", "{accessLog: {enabled: false, output: /var/log/kthena/access.log}}", ""},
		{"a volume of the user's is not hidden",
			"{accessLog: {output: /logs/access.log}, extraVolumes: [{name: logs, emptyDir: {}}], extraVolumeMounts: [{name: logs, mountPath: " +
				"/logs/}]}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := deployments(render(t, "{networking: {kthenaRouter: "+c.values+"}}"))["kthena-router"].Spec.Template.Spec
			mount := corev1.VolumeMount{Name: "access-log", MountPath: c.folder}
			volume := corev1.Volume{Name: "access-log", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
			if c.folder == "" {
				for _, v := range pod.Volumes {
					assert.NotEqual(t, "access-log", v.Name)
				}
				return
			}
			assert.Contains(t, pod.Containers[0].VolumeMounts, mount)
			assert.Contains(t, pod.Volumes, volume)
		})
	}
}

// Users make Gateways at any time, and the router opens a port for each of their listeners.
func TestWithTheGatewayAPIThePolicyOpensEveryPortOfTheRouter(t *testing.T) {
	objects := render(t, "{networking: {kthenaRouter: {gatewayAPI: {enabled: true}, networkPolicy: {enabled: true}}}}")
	assert.Equal(t, []networkingv1.NetworkPolicyIngressRule{{}}, named[*networkingv1.NetworkPolicy](t, objects, "kthena-router").Spec.Ingress)
}

func TestTheRoutersServiceIsWhatTheUserWants(t *testing.T) {
	service := named[*corev1.Service](t, render(t, `{networking: {kthenaRouter: {service: {type: LoadBalancer, port: 8000, annotations: {a: b},
		spec: {nodePort: 30080, loadBalancerClass: c, loadBalancerSourceRanges: [10.0.0.0/8],
      externalTrafficPolicy: Local, ipFamilyPolicy: PreferDualStack}}}}}`), "kthena-router")
	assert.Equal(t, corev1.ServiceTypeLoadBalancer, service.Spec.Type)
	assert.EqualValues(t, 8000, service.Spec.Ports[0].Port)
	assert.EqualValues(t, 30080, service.Spec.Ports[0].NodePort)
	assert.Equal(t, "b", service.Annotations["a"])
	assert.Equal(t, "c", *service.Spec.LoadBalancerClass)
	assert.Equal(t, []string{"10.0.0.0/8"}, service.Spec.LoadBalancerSourceRanges)
	assert.Equal(t, corev1.ServiceExternalTrafficPolicyLocal, service.Spec.ExternalTrafficPolicy)
	assert.Equal(t, corev1.IPFamilyPolicyPreferDualStack, *service.Spec.IPFamilyPolicy)
}

func TestMetricsAreScrapedWhereTheyAre(t *testing.T) {
	const tls = "tls: {enabled: true}, "
	verified := func(secret string) map[string]any {
		return map[string]any{
			"path": "/metrics", "port": "http", "scheme": "https",
			"tlsConfig": map[string]any{
				"serverName": "kthena-router.kthena-system.svc",
				"ca":         map[string]any{"secret": map[string]any{"name": secret, "key": "ca.crt"}},
			},
		}
	}
	for _, c := range []struct {
		name, mode, values string
		want               map[string]any
	}{
		{"on the port for requests", "auto", "", map[string]any{"path": "/metrics", "port": "http"}},
		{"over TLS, with the CA of auto mode", "auto", tls, verified("kthena-router-tls-auto")},
		{"over TLS, with the CA of cert-manager", "cert-manager", tls, verified("kthena-router-tls")},
		{"on a port of their own", "auto", tls + "metrics: {port: 9090}, ", map[string]any{"path": "/metrics", "port": "metrics"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects := render(
				t, fmt.Sprintf("{global: {certManagementMode: %s}, networking: {kthenaRouter: {%sserviceMonitor: {enabled: true}}}}", c.mode, c.values),
			)
			monitor := spec(t, objects, "ServiceMonitor", "kthena-router")
			assert.Equal(t, []any{c.want}, monitor["endpoints"])
			var found []string
			for _, service := range all[*corev1.Service](objects) {
				labels := monitor["selector"].(map[string]any)["matchLabels"].(map[string]any)
				for _, port := range service.Spec.Ports {
					if service.Labels["app.kubernetes.io/component"] == labels["app.kubernetes.io/component"] && port.Name == c.want["port"] {
						found = append(found, service.Name)
					}
				}
			}
			assert.Len(t, found, 1, "Services with such a port")
		})
	}
}

// Kthena v1.0.0 ends at a flag that it does not know.
func TestFlagsOfLaterVersionsArePassedOnRequestAlone(t *testing.T) {
	for _, arg := range deployments(render(t, "{}"))["kthena-router"].Spec.Template.Spec.Containers[0].Args {
		assert.NotContains(t, arg, "metrics")
	}
	assert.Len(t, entries(render(t, "{networking: {kthenaRouter: {externalModelProvider: {enabled: true}}}}")), 8)
}
