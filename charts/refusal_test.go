package charts

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/volcano-sh/kthena-certgen/test/rig/helm"
)

func TestRefusedValues(t *testing.T) {
	for _, c := range []struct{ name, values, want string }{
		{"an unknown key", "{glboal: {}}",
			"kthena:\n- at '': additional properties 'glboal' not allowed",
		},
		{"an unknown mode", "{global: {certManagementMode: none}}",
			"kthena:\n- at '/global/certManagementMode': value must be one of 'auto', 'cert-manager', 'manual'",
		},
		{"an unknown key of certgen", "{global: {certgen: {validty: 1h}}}",
			"kthena:\n- at '/global/certgen': additional properties 'validty' not allowed",
		},
		{"a global value of another type", "{global: {imagePullSecrets: regcred}}",
			"kthena:\n- at '/global/imagePullSecrets': got string, want null or array",
		},
		{"a pull secret without a name", "{global: {imagePullSecrets: [{}]}}",
			"kthena:\n- at '/global/imagePullSecrets/0': missing property 'name'",
		},
		{"a registry with a scheme", "{global: {imageRegistry: 'https://registry.example.com'}}",
			"kthena:\n- at '/global/imageRegistry': 'https://registry.example.com' does not match pattern " +
				"'^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9._/-]*[a-z0-9])?)?$'",
		},
		{"a cluster domain that is none", "{global: {clusterDomain: .local}}",
			"kthena:\n- at '/global/clusterDomain': '.local' does not match pattern '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
		},
		{"an unknown key algorithm", "{global: {certgen: {privateKey: {algorithm: DSA}}}}",
			"kthena:\n- at '/global/certgen/privateKey/algorithm': value must be one of 'ECDSA', 'RSA', 'Ed25519'",
		},
		{"a key size that no algorithm has", "{global: {certgen: {privateKey: {size: 1024}}}}",
			"kthena:\n- at '/global/certgen/privateKey/size': value must be one of 0, 256, 384, 2048, 3072, 4096",
		},
		{"a validity without a unit", "{global: {certgen: {validity: '10'}}}",
			`kthena:` + "\n" + `- at '/global/certgen/validity': '10' does not match pattern '^([0-9]+(\\.[0-9]+)?(h|m|s))+$'`,
		},
		{"a negative validity", "{global: {certgen: {validity: -1h}}}",
			`kthena:` + "\n" + `- at '/global/certgen/validity': '-1h' does not match pattern '^([0-9]+(\\.[0-9]+)?(h|m|s))+$'`,
		},
		{"a tag that is too long", "{global: {certgen: {image: {tag: " + strings.Repeat("t", 129) + "}}}}",
			"kthena:\n- at '/global/certgen/image/tag': maxLength: got 129, want 128",
		},
		{"a digest that is cut off", "{global: {certgen: {image: {digest: 'sha256:abc'}}}}",
			"kthena:\n- at '/global/certgen/image/digest': 'sha256:abc' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
		},
		{"an unknown key of a component", "{workload: {controllerManager: {replica: 1}}}",
			"workload:\n- at '/controllerManager': additional properties 'replica' not allowed",
		},
		{"replicas below zero", "{workload: {controllerManager: {replicas: -1}}}",
			"workload:\n- at '/controllerManager/replicas': minimum: got -1, want 0",
		},
		{"replicas that are no number", "{registry: {controllerManager: {replicas: two}}}",
			"registry:\n- at '/controllerManager/replicas': got string, want null or integer",
		},
		{"a port that needs root", "{networking: {kthenaRouter: {webhook: {port: 443}}}}",
			"networking:\n- at '/kthenaRouter/webhook/port': minimum: got 443, want 1,024",
		},
		{"a timeout that the API server refuses", "{registry: {controllerManager: {webhook: {timeoutSeconds: 31}}}}",
			"registry:\n- at '/controllerManager/webhook/timeoutSeconds': maximum: got 31, want 30",
		},
		{"an unknown failure policy", "{registry: {controllerManager: {webhook: {failurePolicy: Retry}}}}",
			"registry:\n- at '/controllerManager/webhook/failurePolicy': value must be one of 'Fail', 'Ignore'",
		},
		{"a Secret's name that is none", "{workload: {controllerManager: {webhook: {tls: {secretName: My_Secret}}}}}",
			"workload:\n- at '/controllerManager/webhook/tls/secretName': 'My_Secret' does not match pattern '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
		},
		{"an empty Secret's name", "{workload: {controllerManager: {webhook: {tls: {secretName: ''}}}}}",
			"workload:\n- at '/controllerManager/webhook/tls/secretName': '' does not match pattern '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'",
		},
		{"an unknown Service type", "{networking: {kthenaRouter: {service: {type: ExternalName}}}}",
			"networking:\n- at '/kthenaRouter/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'",
		},
		{"a budget that is no share", "{networking: {kthenaRouter: {podDisruptionBudget: {maxUnavailable: half}}}}",
			"networking:\n- at '/kthenaRouter/podDisruptionBudget/maxUnavailable': 'half' does not match pattern '^[0-9]+%$'",
		},
		{"a settle time without a unit", "{global: {certgen: {controller: {settle: '10'}}}}",
			`kthena:` + "\n" + `- at '/global/certgen/controller/settle': '10' does not match pattern '^([0-9]+(\\.[0-9]+)?(h|m|s))+$'`,
		},
		{"an unknown key of the controller", "{global: {certgen: {controller: {replicas: 2}}}}",
			"kthena:\n- at '/global/certgen/controller': additional properties 'replicas' not allowed",
		},
		{"an interval that Prometheus does not know", "{global: {certgen: {controller: {metrics: {podMonitor: {interval: often}}}}}}",
			"kthena:\n- at '/global/certgen/controller/metrics/podMonitor/interval': 'often' does not match pattern " +
				"'^(0|([0-9]+(y|w|d|h|m|s|ms))+)?$'",
		},
		{"no mode", "{global: {certManagementMode: null}}",
			"kthena:\n- at '/global': missing property 'certManagementMode'",
		},
		{"a map with only comments below it", "{networking: {kthenaRouter: {webhook: null}}}",
			"networking:\n- at '/kthenaRouter': missing property 'webhook'",
		},
		{"a component with only comments below it", "{workload: {controllerManager: null}}",
			"workload:\n- at '': missing property 'controllerManager'",
		},
		{"a subchart with only comments below it", "{workload: null}",
			"kthena:\n- at '/workload': missing property 'enabled'",
		},
		{"a Secret's name that YAML takes for a number", "{workload: {controllerManager: {webhook: {tls: {secretName: 1e3}}}}}",
			"workload:\n- at '/controllerManager/webhook/tls/secretName': got number, want string",
		},
		{"an access log in a folder that is not named", "{networking: {kthenaRouter: {accessLog: {output: access.log}}}}",
			"networking:\n- at '/kthenaRouter/accessLog/output': 'access.log' does not match pattern '^(stdout|stderr|(/[^/]+){2,})$'",
		},
		{"an access log in the root folder", "{networking: {kthenaRouter: {accessLog: {output: /access.log}}}}",
			"networking:\n- at '/kthenaRouter/accessLog/output': '/access.log' does not match pattern '^(stdout|stderr|(/[^/]+){2,})$'",
		},
		{"a subchart that is neither on nor off", "{registry: {enabled: sometimes}}",
			"kthena:\n- at '/registry/enabled': got string, want boolean\nregistry:\n- at '/enabled': got string, want boolean",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := helm.Render(umbrella, options(t, c.values))
			assert.EqualError(t, err, "values don't meet the specifications of the schema(s) in the following chart(s):\n"+c.want+"\n")
		})
	}
}

func TestRefusedCombinations(t *testing.T) {
	const hint = ": set it to the output of: base64 -w0 ca.crt"
	const unread = " holds no certificate that the API server would read, such as when its BEGIN line is indented or has a byte order mark " +
		"before it"
	bundle := caBundle(t)
	ca := decodeText(t, bundle)
	manualWith := func(content string) string {
		return "{global: {certManagementMode: manual, webhook: {caBundle: '" + encode([]byte(content)) + "'}}}"
	}
	for _, c := range []struct{ name, values, want string }{
		{"manual mode without a CA bundle", "{global: {certManagementMode: manual}}",
			"ERROR: global.webhook.caBundle is required when global.certManagementMode is manual" + hint},
		{"a CA bundle that is not base64", "{global: {certManagementMode: manual, webhook: {caBundle: 'not base64'}}}",
			"ERROR: global.webhook.caBundle is not base64" + hint},
		{"a CA bundle that is cut off", "{global: {certManagementMode: manual, webhook: {caBundle: '" + bundle[:len(bundle)-1] + "'}}}",
			"ERROR: global.webhook.caBundle is not base64" + hint},
		{"a CA bundle that is not PEM", manualWith("hello"), "ERROR: global.webhook.caBundle is not PEM" + hint},
		{"a CA bundle without the end of a certificate", manualWith(strings.Replace(ca, "-----END", "", 1)),
			"ERROR: global.webhook.caBundle" + unread + hint},
		{"a CA bundle with a byte order mark", manualWith("\ufeff" + ca), "ERROR: global.webhook.caBundle" + unread + hint},
		{"a CA bundle that is indented", manualWith("  " + ca), "ERROR: global.webhook.caBundle" + unread + hint},
		{
			"a CA bundle of another kind of block", manualWith(strings.ReplaceAll(ca, " CERT", " TRUSTED CERT")),
			"ERROR: global.webhook.caBundle" + unread + hint,
		},
		{"a CA bundle with a private key", manualWith(ca + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
			"ERROR: global.webhook.caBundle holds a private key, which must stay secret: put in the CA certificate alone and replace the key"},
		{"a CA bundle with a certificate that is none", manualWith("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
			"ERROR: global.webhook.caBundle" + unread + hint},
		{"a component's CA bundle that is not PEM", manual(t, ", workload: {controllerManager: {webhook: {caBundle: aGVsbG8K}}}"),
			"ERROR: workload.controllerManager.webhook.caBundle is not PEM" + hint},
		{"a CA bundle in auto mode", "{global: {webhook: {caBundle: LS0t}}}",
			"ERROR: global.webhook.caBundle is for manual mode alone: remove it, or set global.certManagementMode to manual"},
		{"a CA bundle in cert-manager mode", "{global: {certManagementMode: cert-manager, webhook: {caBundle: LS0t}}}",
			"ERROR: global.webhook.caBundle is for manual mode alone: remove it, or set global.certManagementMode to manual"},
		{"a component's CA bundle in auto mode", "{networking: {kthenaRouter: {webhook: {caBundle: LS0t}}}}",
			"ERROR: networking.kthenaRouter.webhook.caBundle is for manual mode alone: remove it, or set global.certManagementMode to manual"},
		{"an issuer with a kind but no name", "{global: {certManagementMode: cert-manager, certManager: {issuerRef: {kind: ClusterIssuer}}}}",
			"ERROR: global.certManager.issuerRef has a kind or group but no name: set global.certManager.issuerRef.name, or leave all of it " +
				"empty for issuers of the chart's own"},
		{"one Secret for two webhooks", "{registry: {controllerManager: {webhook: {tls: {secretName: workload-webhook-certs}}}}}",
			"ERROR: registry.controllerManager.webhook.tls.secretName and workload.controllerManager.webhook.tls.secretName are both " +
				"workload-webhook-certs: give each certificate a Secret of its own"},
		{"one Secret for the router and its webhook", "{networking: {kthenaRouter: {tls: {enabled: true, secretName: " +
			"networking-webhook-certs}}}}",
			"ERROR: networking.kthenaRouter.webhook.tls.secretName and networking.kthenaRouter.tls.secretName are both networking-webhook-certs: " +
				"give each certificate a Secret of its own"},
		{"the Inference Extension without the Gateway API", "{networking: {kthenaRouter: {gatewayAPI: {inferenceExtension: true}}}}",
			"ERROR: networking.kthenaRouter.gatewayAPI.inferenceExtension needs the Gateway API: set " +
				"networking.kthenaRouter.gatewayAPI.enabled to true"},
		{"metrics on the port of the probes", "{global: {certgen: {controller: {metrics: {port: 8081}}}}}",
			"ERROR: global.certgen.controller.metrics.port is 8081, the port of the probes: choose another one"},
		{"a monitor of metrics that are off", "{global: {certgen: {controller: {metrics: {enabled: false, podMonitor: {enabled: true}}}}}}",
			"ERROR: global.certgen.controller.metrics.podMonitor needs the metrics: set global.certgen.controller.metrics.enabled to true"},
		{"a certificate of half an hour", "{global: {certgen: {validity: 30m}}}",
			"ERROR: global.certgen.validity is 30m: a certificate lives 1h or longer"},
		{"a certificate of more than a century", "{global: {certgen: {validity: 876001h}}}",
			"ERROR: global.certgen.validity is 876001h: the longest is 876000h, a hundred years"},
		{"a settle time of more than a century", "{global: {certgen: {controller: {settle: 99999999999h}}}}",
			"ERROR: global.certgen.controller.settle is 99999999999h: the longest is 876000h, a hundred years"},
		{"no time for a pod's start", "{global: {certgen: {timeout: 0s}}}",
			"ERROR: global.certgen.timeout is less than 1s: give a pod's start the time to make a certificate, such as 2m"},
		{"a certificate that is always renewed", "{global: {certgen: {validity: 2h, renewBefore: 1h60m}}}",
			"ERROR: global.certgen.renewBefore is 1h60m and global.certgen.validity 2h: renew when less is left than the whole life, or set 0s " +
				"for a third of it"},
		{"a certificate of cert-manager's that is always renewed", "{global: {certManager: {duration: 720h, renewBefore: 2920h}}}",
			"ERROR: global.certManager.renewBefore is 2920h and global.certManager.duration 720h: renew when less is left than the whole life, " +
				"or set 0s for a third of it"},
		{"RSA of 256 bits", "{global: {certgen: {privateKey: {algorithm: RSA, size: 256}}}}",
			"ERROR: global.certgen.privateKey.size is 256 and the algorithm RSA: use 2048, 3072, 4096, 0 for the default"},
		{"Ed25519 of 256 bits, by cert-manager", "{global: {certManager: {privateKey: {algorithm: Ed25519, size: 256}}}}",
			"ERROR: global.certManager.privateKey.size is 256 and the algorithm Ed25519: use 0 for the default"},
		{"a kind of issuer that cert-manager has not", "{global: {certManagementMode: cert-manager, certManager: {issuerRef: {name: mine, " +
			"kind: clusterissuer}}}}",
			"ERROR: global.certManager.issuerRef.kind is clusterissuer: Issuer and ClusterIssuer are the kinds of cert-manager.io"},
		{"a window that the program refuses", "{networking: {kthenaRouter: {fairness: {windowSize: 2h}}}}",
			"ERROR: networking.kthenaRouter.fairness.windowSize is 2h: 1m to 1h is allowed"},
		{"two servers of the router on one port", "{networking: {kthenaRouter: {port: 8443}}}",
			"ERROR: networking.kthenaRouter.port and networking.kthenaRouter.webhook.port are both 8443: give each server of the pod a port " +
				"of its own"},
		{"the metrics on the debug server's port", "{networking: {kthenaRouter: {metrics: {port: 15000}}}}",
			"ERROR: networking.kthenaRouter.metrics.port and networking.kthenaRouter.debugPort are both 15000: give each server of the pod a " +
				"port of its own"},
		{"two servers of the controller-manager on one port", "{workload: {controllerManager: {debugPort: 8443}}}",
			"ERROR: workload.controllerManager.webhook.port and workload.controllerManager.debugPort are both 8443: give each server of the pod " +
				"a port of its own"},
		{"a field of the pod that is a value", "{workload: {controllerManager: {podSpec: {nodeSelector: {a: b}}}}}",
			"ERROR: workload.controllerManager.podSpec.nodeSelector is set by the chart: use workload.controllerManager.nodeSelector; podSpec " +
				"takes other fields of a pod's spec, such as hostNetwork and dnsPolicy"},
		{"a field of the Service that the chart sets", "{networking: {kthenaRouter: {service: {spec: {ports: []}}}}}",
			"ERROR: networking.kthenaRouter.service.spec.ports is set by the chart: spec takes nodePort and other fields of a Service's spec, " +
				"such as loadBalancerClass"},
		{"an account of nobody's", "{registry: {controllerManager: {serviceAccount: {create: false}}}}",
			"ERROR: registry.controllerManager.serviceAccount.create is false: set registry.controllerManager.serviceAccount.name to the account " +
				"that is there, which gets the component's rights"},
		{"a pod that is killed before it is told to end", "{networking: {kthenaRouter: {terminationGracePeriodSeconds: 300}}}",
			"ERROR: networking.kthenaRouter.terminationGracePeriodSeconds is 300 and networking.kthenaRouter.preStopSeconds 300: allow more than " +
				"that, or 0 for 30 more"},
		{"an autoscaler without room", "{registry: {controllerManager: {autoscaling: {minReplicas: 4}}}}",
			"ERROR: registry.controllerManager.autoscaling.minReplicas is 4 and registry.controllerManager.autoscaling.maxReplicas 3: allow at " +
				"least as many"},
		{"a label that selects pods", "{global: {commonLabels: {app.kubernetes.io/name: mine}}}",
			"ERROR: global.commonLabels has app.kubernetes.io/name, which the chart sets: use labels other than app.kubernetes.io/... and " +
				"helm.sh/chart"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := helm.Render(umbrella, options(t, c.values))
			assert.Equal(t, c.want, refusal(err))
		})
	}
}

// serverCertificate has basicConstraints with cA FALSE.
const serverCertificate = `-----BEGIN CERTIFICATE-----
MIIBcTCCARigAwIBAgIUPogSlXHmchwO62Gjf243z4k0HeMwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbGVhZjAgFw0yNjExMjQwMzEyMzBaGA8yMTI2MTAzMTAzMTIz
MFowDzENMAsGA1UEAwwEbGVhZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEn4
ZuOcJ+qIbID3knG3M+7Q4YaNnMf9XB8/59KetDQxoG/vA+PFro4yw/DeHaxTpZWM
Kurz/IkC1uagzysYKv6jUDBOMB0GA1UdDgQWBBSPNOwM+qNG25G4pYMoCbepTKn8
kDAfBgNVHSMEGDAWgBSPNOwM+qNG25G4pYMoCbepTKn8kDAMBgNVHRMBAf8EAjAA
MAoGCCqGSM49BAMCA0cAMEQCIC84PrORq+msEtJiPEmzVSwlOpe85cgNf/idnwx8
0RjRAiBbI8poNDO1vc6RgHkZte+3bgdmjQMT4U7+Dsmjc4AcvQ==
-----END CERTIFICATE-----
`

func TestCABundlesThatAreTaken(t *testing.T) {
	ca := decodeText(t, caBundle(t))
	for name, content := range map[string]string{
		"one CA":                               ca,
		"a CA twice, as during a rotation":     ca + ca,
		"a server's certificate before the CA": serverCertificate + ca,
		"a server's certificate alone":         serverCertificate, // which the API server trusts where it is served
		"text around it, as openssl prints it": "subject=CN = a CA\n" + ca + "\n",
		"line ends as Windows has them":        strings.ReplaceAll(ca, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := helm.Render(umbrella, options(t, "{global: {certManagementMode: manual, webhook: {caBundle: '"+encode([]byte(content))+"'}}}"))
			assert.NoError(t, err)
		})
	}
}

// Base64 without -w0 wraps its lines, and the API server does not mind.
func TestACABundleOfSeveralLinesIsTakenAsOne(t *testing.T) {
	one, err := helm.Render(umbrella, options(t, manual(t, "")))
	require.NoError(t, err)
	bundle := caBundle(t)
	o := options(t, manual(t, ""))
	require.NoError(
		t, unstructured.SetNestedField(o.Values, bundle[:64]+"\n"+bundle[64:128]+"\r\n"+bundle[128:]+"\n", "global", "webhook", "caBundle"),
	)
	several, err := helm.Render(umbrella, o)
	require.NoError(t, err)
	assert.Equal(t, one.Manifest(), several.Manifest())
}

func TestManualModeWithoutWebhooksNeedsNoCABundle(t *testing.T) {
	o := options(t, webhooksOff)
	o.Values["global"] = map[string]any{"certManagementMode": "manual"}
	_, err := helm.Render(umbrella, o)
	assert.NoError(t, err)
}

func decodeText(t *testing.T, encoded string) string {
	t.Helper()
	content, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	return string(content)
}
