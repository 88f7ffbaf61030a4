package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

const (
	controllerAnnotation = "certgen.kthena.volcano.sh/controller"
	controllerOff        = "{global: {certgen: {controller: {enabled: false}}}}"
)

// controllerConfig is the controller's configuration file.
type controllerConfig struct {
	Release, Namespace, Mode        string
	Roll                            bool
	Settle, RetireAfter, WarnWithin string
	Validity, RenewBefore           string
	PrivateKey                      struct {
		Algorithm string
		Size      int
	}
	Components []controllerComponent
}

type controllerComponent struct {
	Deployment   string
	Labels       map[string]string
	Annotations  map[string]string
	Certificates []controllerCertificate
}

type controllerCertificate struct {
	Service, Port, Secret string
	DNSNames              []string `json:"dnsNames"`
	Mutating, Validating  []string
}

// config is what the controller is told, and whether it is there.
func config(t *testing.T, objects []object) (c controllerConfig, ok bool) {
	t.Helper()
	if deployments(objects)["kthena-certgen"] == nil {
		return c, false
	}
	text := named[*corev1.ConfigMap](t, objects, "kthena-certgen").Data["config.yaml"]
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &c), text)
	return c, true
}

// certificates are those of all components, by the names of their Secrets.
func (c controllerConfig) certificates() map[string]controllerCertificate {
	byName := map[string]controllerCertificate{}
	for _, component := range c.Components {
		for _, cert := range component.Certificates {
			byName[cert.Secret] = cert
		}
	}
	return byName
}

// The controller does between the starts of pods what the init containers do at one: it has to be told the same.
func TestInAutoModeTheControllerIsToldWhatTheInitContainersAreTold(t *testing.T) {
	for _, c := range cases(t) {
		if mode(c) != "auto" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			objects := renderOptions(t, c.options)
			cfg, ok := config(t, objects)
			told := map[string][]string{}
			for _, component := range cfg.Components {
				for _, cert := range component.Certificates {
					told[cert.Secret] = append(asArguments(cfg, component, cert), "--secret-name="+cert.Secret)
				}
			}
			args := map[string][]string{}
			for name, d := range deployments(objects) {
				for _, certgen := range d.Spec.Template.Spec.InitContainers {
					for _, arg := range certgen.Args {
						if secret, found := cutFlag(arg, "--secret-name"); found {
							// What only a run has: its files, its time limit, and what it waits for.
							args[secret] = slices.DeleteFunc(slices.Clone(certgen.Args), func(arg string) bool {
								_, isFlag := strings.CutPrefix(arg, "--")
								flag, _, _ := strings.Cut(arg, "=")
								return !isFlag || slices.Contains([]string{"--output-dir", "--timeout", "--await-annotation", "--webhook-patience"}, flag)
							})
						}
					}
					assert.True(t, ok, "there is an init container in %s and no controller", name)
				}
			}
			require.Len(t, told, len(args))
			for secret := range args {
				assert.ElementsMatch(t, args[secret], told[secret], secret)
			}
		})
	}
}

// asArguments are a certificate's settings as the arguments of an init container, without the Secret's name.
func asArguments(cfg controllerConfig, component controllerComponent, cert controllerCertificate) []string {
	args := []string{
		"--namespace=" + cfg.Namespace,
		"--validity=" + cfg.Validity,
		"--renew-before=" + cfg.RenewBefore,
		"--key-algorithm=" + cfg.PrivateKey.Algorithm,
		fmt.Sprintf("--key-size=%d", cfg.PrivateKey.Size),
	}
	for flag, values := range map[string][]string{
		"--dns-name": cert.DNSNames, "--mutating-webhook-configuration": cert.Mutating, "--validating-webhook-configuration": cert.Validating,
	} {
		for _, value := range values {
			args = append(args, flag+"="+value)
		}
	}
	for key, value := range component.Labels {
		args = append(args, "--label="+key+"="+value)
	}
	for key, value := range component.Annotations {
		args = append(args, "--annotation="+key+"="+value)
	}
	return args
}

func TestTheControllerKnowsTheServicesAndWebhooksOfEachCertificate(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			objects := renderOptions(t, c.options)
			cfg, ok := config(t, objects)
			if !ok {
				assert.Empty(t, entries(objects), "there are webhooks and no controller")
				return
			}
			assert.Equal(t, c.options.Release, cfg.Release)
			assert.Equal(t, c.options.Namespace, cfg.Namespace)
			assert.Equal(t, mode(c), cfg.Mode)
			callers := map[string][]string{}
			for _, component := range cfg.Components {
				d := deployments(objects)[component.Deployment]
				require.NotNil(t, d, component.Deployment)
				for _, cert := range component.Certificates {
					service := named[*corev1.Service](t, objects, cert.Service)
					assert.True(t, selects(service.Spec.Selector, d.Spec.Template.ObjectMeta), "%s leads to %s", cert.Service, component.Deployment)
					require.Len(t, service.Spec.Ports, 1)
					assert.Equal(t, service.Spec.Ports[0].Name, cert.Port)
					assert.Contains(t, cert.DNSNames, cert.Service+"."+cfg.Namespace+".svc")
					for _, configuration := range slices.Concat(cert.Mutating, cert.Validating) {
						callers[configuration] = append(callers[configuration], cert.Service)
					}
				}
			}
			rendered := map[string][]string{}
			for _, e := range entries(objects) {
				rendered[e.configuration] = []string{e.webhook.ClientConfig.Service.Name}
			}
			assert.Equal(t, rendered, callers)
		})
	}
}

// Outside auto mode it sees what the Secrets hold but for the key, and needs no right on Secrets for that.
func TestOutsideAutoModeTheControllerMountsTheCertificatesWithoutTheirKeys(t *testing.T) {
	for _, c := range cases(t) {
		objects := renderOptions(t, c.options)
		cfg, ok := config(t, objects)
		if !ok {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			pod := deployments(objects)["kthena-certgen"].Spec.Template.Spec
			mounted := map[string]string{} // the Secrets by their folders
			for _, v := range pod.Volumes {
				if v.Name == "config" {
					continue
				}
				require.NotNil(t, v.Secret, v.Name)
				assert.Equal(t, []corev1.KeyToPath{{Key: "tls.crt", Path: "tls.crt"}, {Key: "ca.crt", Path: "ca.crt"}}, v.Secret.Items)
				require.NotNil(t, v.Secret.Optional)
				assert.True(t, *v.Secret.Optional, "the controller starts without it, to tell that it is missing")
				for _, m := range pod.Containers[0].VolumeMounts {
					if m.Name == v.Name {
						assert.True(t, m.ReadOnly)
						mounted[m.MountPath] = v.Secret.SecretName
					}
				}
			}
			if mode(c) == "auto" {
				assert.Empty(t, mounted)
				return
			}
			served := map[string]bool{}
			for name, d := range deployments(objects) {
				for _, v := range d.Spec.Template.Spec.Volumes {
					if v.Secret != nil && name != "kthena-certgen" {
						served[v.Secret.SecretName] = true
					}
				}
			}
			assert.Len(t, mounted, len(served))
			assert.Len(t, cfg.certificates(), len(served))
			for name := range cfg.certificates() {
				assert.True(t, served[name], name)
			}
			told := map[string]string{}
			for _, arg := range pod.Containers[0].Args {
				if value, ok := cutFlag(arg, "--certificate-dir"); ok {
					name, dir, _ := strings.Cut(value, "=")
					told[dir] = name
				}
			}
			assert.Equal(t, mounted, told)
			for _, r := range all[*rbacv1.Role](objects) {
				if r.Name == "kthena-certgen" {
					assert.NotContains(t, strings.Join(rules(r.Rules), "\n"), "secrets")
				}
			}
		})
	}
}

func TestInCertManagerModeTheControllerExpectsTheNamesOfTheCertificate(t *testing.T) {
	objects := render(
		t, "{global: {certManagementMode: cert-manager}, networking: {kthenaRouter: {tls: {enabled: true, dnsName: llm.example.com}}}}",
	)
	cfg, ok := config(t, objects)
	require.True(t, ok)
	require.Len(t, cfg.certificates(), 4)
	for _, o := range objects {
		u, ok := o.(*unstructured.Unstructured)
		if !ok || u.GetKind() != "Certificate" || strings.HasSuffix(u.GetName(), "-ca") {
			continue
		}
		secret, _, err := unstructured.NestedString(u.Object, "spec", "secretName")
		require.NoError(t, err)
		names, _, err := unstructured.NestedStringSlice(u.Object, "spec", "dnsNames")
		require.NoError(t, err)
		assert.Equal(t, names, cfg.certificates()[secret].DNSNames)
	}
}

func TestAChangeOfItsConfigurationReplacesTheController(t *testing.T) {
	const checksum = "checksum/config"
	of := func(values string) string {
		return deployments(render(t, values))["kthena-certgen"].Spec.Template.Annotations[checksum]
	}
	assert.NotEmpty(t, of("{}"))
	assert.NotEqual(t, of("{}"), of("{global: {certgen: {controller: {settle: 11s}}}}"))
	assert.Equal(t, of("{}"), of("{global: {certgen: {controller: {podLabels: {a: b}}}}}"))
}

// The controller patches the pods' annotations; what the chart renders is the Deployment's own.
func TestDeploymentsSayThatThereIsAController(t *testing.T) {
	for _, c := range []struct {
		name, values string
		want         []string
	}{
		{"all by default", "{}", []string{"kthena-registry", "kthena-router", "kthena-workload"}},
		{"none with the controller off", controllerOff, nil},
		{
			"only those that serve TLS", "{registry: {controllerManager: {webhook: {enabled: false}}}}",
			[]string{"kthena-router", "kthena-workload"},
		},
		{"none where nothing serves TLS", webhooksOff, nil},
		{
			"a router that serves TLS and no webhooks",
			"{registry: {enabled: false}, workload: {enabled: false}, networking: {kthenaRouter: {webhook: {enabled: false}, tls: " +
				"{enabled: true}}}}",
			[]string{"kthena-router"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects := render(t, c.values)
			var got, told []string
			for name, d := range deployments(objects) {
				if d.Annotations[controllerAnnotation] == "kthena-certgen" {
					got = append(got, name)
				}
				for key := range d.Spec.Template.Annotations {
					assert.NotContains(t, key, "certgen.kthena.volcano.sh", "the controller's own")
				}
			}
			cfg, ok := config(t, objects)
			assert.Equal(t, len(c.want) > 0, ok)
			for _, component := range cfg.Components {
				told = append(told, component.Deployment)
			}
			assert.ElementsMatch(t, c.want, got)
			assert.ElementsMatch(t, c.want, told)
		})
	}
}

func TestWithoutTheControllerOrWithoutTLSNothingOfItIsRendered(t *testing.T) {
	for name, values := range map[string]string{
		"the controller is off": controllerOff,
		"nothing serves TLS":    webhooksOff,
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := helm.Render(umbrella, options(t, values))
			require.NoError(t, err)
			for _, o := range decode(t, rendered) {
				assert.NotEqual(t, "kthena-certgen", o.GetName(), "of policies alone it is a part of the name")
			}
		})
	}
}

func TestTheControllersRights(t *testing.T) {
	const (
		mutating   = "admissionregistration.k8s.io mutatingwebhookconfigurations [kthena-registry-mutating-webhook]: "
		validating = "admissionregistration.k8s.io validatingwebhookconfigurations [kthena-registry-validating-webhook " +
			"kthena-workload-validating-webhook kthena-networking-validating-webhook]: "
		deployments  = "apps deployments [kthena-registry kthena-workload kthena-router]: "
		slicesRule   = "discovery.k8s.io endpointslices: list watch"
		createEvents = "core events: create"
	)
	for _, c := range []struct {
		name, values       string
		cluster, namespace []string
	}{
		{
			"in auto mode", "{}",
			[]string{mutating + "get list watch patch", validating + "get list watch patch"},
			[]string{
				deployments + "get list watch patch", slicesRule, createEvents, "core secrets: create",
				"core secrets [registry-webhook-certs-auto workload-webhook-certs-auto networking-webhook-certs-auto]: get list watch update delete",
			},
		},
		{
			"in cert-manager mode", "{global: {certManagementMode: cert-manager}}",
			[]string{mutating + "get list watch", validating + "get list watch"},
			[]string{deployments + "get list watch patch", slicesRule, createEvents},
		},
		{
			"in manual mode", manual(t, ""),
			[]string{mutating + "get list watch", validating + "get list watch"},
			[]string{deployments + "get list watch patch", slicesRule, createEvents},
		},
		{
			"when people roll", "{global: {certManagementMode: cert-manager, certgen: {controller: {roll: false}}}}",
			[]string{mutating + "get list watch", validating + "get list watch"},
			[]string{deployments + "get list watch", slicesRule, createEvents},
		},
		{
			"for a router that serves TLS and no webhooks",
			"{registry: {enabled: false}, workload: {enabled: false}, networking: {kthenaRouter: {webhook: {enabled: false}, tls: " +
				"{enabled: true}}}}",
			nil,
			[]string{
				"apps deployments [kthena-router]: get list watch patch", slicesRule, createEvents, "core secrets: create",
				"core secrets [kthena-router-tls-auto]: get list watch update delete",
			},
		},
		{"without it", controllerOff, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			assertRights(t, render(t, c.values), "kthena-certgen", c.cluster, c.namespace)
		})
	}
}

func TestTheControllerServesMetricsUnlessTheyAreOff(t *testing.T) {
	for _, c := range []struct {
		name, metrics, arg string
		ports              []string
	}{
		{"by default", "{}", "--metrics-bind-address=:8080", []string{"metrics 8080", "health 8081"}},
		{"on another port", "{port: 9090}", "--metrics-bind-address=:9090", []string{"metrics 9090", "health 8081"}},
		{"not at all", "{enabled: false}", "--metrics-bind-address=0", []string{"health 8081"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects := render(
				t, "{registry: {controllerManager: {networkPolicy: {enabled: true}}}, global: {certgen: {controller: {metrics: "+c.metrics+"}}}}",
			)
			controller := deployments(objects)["kthena-certgen"].Spec.Template.Spec.Containers[0]
			assert.Equal(
				t, []string{"controller", "--config=/etc/kthena-certgen/config.yaml", c.arg, "--health-probe-bind-address=:8081"}, controller.Args,
			)
			assert.Contains(t, controller.VolumeMounts, corev1.VolumeMount{Name: "config", MountPath: "/etc/kthena-certgen", ReadOnly: true})
			var ports []string
			for _, p := range controller.Ports {
				ports = append(ports, fmt.Sprintf("%s %d", p.Name, p.ContainerPort))
			}
			assert.Equal(t, c.ports, ports)
			assert.Equal(t, "health", controller.LivenessProbe.HTTPGet.Port.StrVal)
			assert.Equal(t, "/healthz", controller.LivenessProbe.HTTPGet.Path)
			assert.Equal(t, "/readyz", controller.ReadinessProbe.HTTPGet.Path)

			np := named[*networkingv1.NetworkPolicy](t, objects, "kthena-certgen")
			assert.True(t, selects(np.Spec.PodSelector.MatchLabels, deployments(objects)["kthena-certgen"].Spec.Template.ObjectMeta))
			assert.Equal(t, []networkingv1.NetworkPolicyEgressRule{{}}, np.Spec.Egress, "open")
			if len(ports) == 1 {
				assert.Empty(t, np.Spec.Ingress, "nobody calls it")
				return
			}
			require.Len(t, np.Spec.Ingress, 1)
			require.Len(t, np.Spec.Ingress[0].Ports, 1)
			assert.Equal(t, "metrics", np.Spec.Ingress[0].Ports[0].Port.StrVal)
		})
	}
}

func TestWhatReadsTheMetricsIsMadeOnRequest(t *testing.T) {
	const dashboard = "ConfigMap/kthena-certgen-dashboard"
	for _, c := range []struct {
		metrics string
		want    []string
	}{
		{"{}", nil},
		{"{service: {enabled: true}}", []string{"Service/kthena-certgen"}},
		{"{podMonitor: {enabled: true}}", []string{"PodMonitor/kthena-certgen"}},
		{"{serviceMonitor: {enabled: true}}", []string{"Service/kthena-certgen", "ServiceMonitor/kthena-certgen"}},
		{"{prometheusRule: {enabled: true}}", []string{"PrometheusRule/kthena-certgen"}},
		{"{dashboard: {enabled: true}}", []string{dashboard}},
	} {
		t.Run(c.metrics, func(t *testing.T) {
			before := identities(render(t, "{}"))
			objects := render(t, "{global: {certgen: {controller: {metrics: "+c.metrics+"}}}}")
			added := slices.DeleteFunc(identities(objects), func(id string) bool { return slices.Contains(before, id) })
			assert.ElementsMatch(t, c.want, added)
		})
	}
}

func TestMonitorsFindTheControllersMetrics(t *testing.T) {
	objects := render(t, `{global: {certgen: {controller: {metrics: {port: 9090,
		podMonitor: {enabled: true, interval: 15s, labels: {prometheus: main, app.kubernetes.io/name: other}},
		serviceMonitor: {enabled: true}}}}}}`)
	pod := deployments(objects)["kthena-certgen"].Spec.Template.ObjectMeta
	service := named[*corev1.Service](t, objects, "kthena-certgen")
	assert.True(t, selects(service.Spec.Selector, pod))
	for name, d := range deployments(objects) {
		assert.Equal(t, name == "kthena-certgen", selects(service.Spec.Selector, d.Spec.Template.ObjectMeta), name)
	}
	require.Len(t, service.Spec.Ports, 1)
	assert.EqualValues(t, 9090, service.Spec.Ports[0].Port)
	assert.Equal(t, "metrics", service.Spec.Ports[0].TargetPort.StrVal)

	// The endpoint of a monitor: https://prometheus-operator.dev/docs/api-reference/api/
	endpoint := func(kind, list string, target metav1.ObjectMeta) map[string]any {
		s := spec(t, objects, kind, "kthena-certgen")
		selector, found, err := unstructured.NestedStringMap(s, "selector", "matchLabels")
		require.NoError(t, err)
		require.True(t, found)
		assert.True(t, selects(selector, target), kind)
		require.Len(t, s[list], 1)
		return s[list].([]any)[0].(map[string]any)
	}
	// Prometheus would rename the metrics' own label `service` otherwise, and no alert would find it.
	assert.Equal(
		t, map[string]any{"port": "metrics", "honorLabels": true, "interval": "15s"}, endpoint("PodMonitor", "podMetricsEndpoints", pod),
	)
	assert.Equal(
		t, map[string]any{"port": service.Spec.Ports[0].Name, "honorLabels": true}, endpoint("ServiceMonitor", "endpoints", service.ObjectMeta),
	)
	for _, o := range objects {
		if o.GetObjectKind().GroupVersionKind().Kind == "PodMonitor" {
			assert.Equal(t, "main", o.GetLabels()["prometheus"])
			assert.Equal(t, "kthena", o.GetLabels()["app.kubernetes.io/name"], "the chart's own labels stay")
		}
	}
}

// The switch takes away what it says and nothing else.
func TestTheControllerChangesNothingElse(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			on := renderOptions(t, c.options)
			o := c.options
			o.Values = runtime.DeepCopyJSON(o.Values)
			require.NoError(t, unstructured.SetNestedField(o.Values, false, "global", "certgen", "controller", "enabled"))
			off := map[string]object{}
			for _, o := range renderOptions(t, o) {
				off[identity(o)] = o
			}
			for _, o := range on {
				if o.GetLabels()["app.kubernetes.io/component"] == "kthena-certgen" {
					assert.Nil(t, off[identity(o)], identity(o))
					continue
				}
				if d, ok := o.(*appsv1.Deployment); ok {
					delete(d.Annotations, "certgen.kthena.volcano.sh/controller")
					if len(d.Annotations) == 0 {
						d.Annotations = nil
					}
					// A pod waits for its webhook configurations as long as it takes when nobody else would give them the CA.
					for n, c := range d.Spec.Template.Spec.InitContainers {
						patient := func(arg string) bool { return arg == "--webhook-patience=15s" }
						d.Spec.Template.Spec.InitContainers[n].Args = slices.DeleteFunc(c.Args, patient)
					}
				}
				if identity(o) != "Role/kthena-verify" {
					assert.Equal(t, off[identity(o)], o, identity(o))
				}
				delete(off, identity(o))
			}
			assert.Empty(t, off)
		})
	}
}

// Whether the cluster has the Prometheus Operator is known only when the render knows the cluster.
func TestMonitorsNeedThePrometheusOperator(t *testing.T) {
	for _, key := range []string{"podMonitor", "serviceMonitor", "prometheusRule"} {
		for _, c := range []struct {
			name    string
			cluster []string
			want    string
		}{
			{"a cluster without it refuses them", []string{"apps/v1/Deployment"}, "ERROR: the cluster does not serve monitoring.coreos.com/v1: " +
				"install the Prometheus Operator first, or set global.certgen.controller.metrics." + key + ".enabled to false"},
			{"a cluster with it takes them", []string{"apps/v1/Deployment", "monitoring.coreos.com/v1"}, ""},
			{"so does a render without a cluster", nil, ""},
		} {
			t.Run(key+": "+c.name, func(t *testing.T) {
				o := options(t, "{global: {requireCRDs: false, certgen: {controller: {metrics: {"+key+": {enabled: true}}}}}}")
				o.APIVersions = c.cluster
				_, err := helm.Render(umbrella, o)
				assert.Equal(t, c.want, refusal(err))
			})
		}
	}
}
