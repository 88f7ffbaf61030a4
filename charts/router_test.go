package charts

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
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
