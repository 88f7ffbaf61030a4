package verify

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEveryModeHasItsRemedies(t *testing.T) {
	t.Parallel()
	const (
		restart = "kubectl rollout restart --namespace ns deployment/server"
		remove  = "kubectl delete secret --namespace ns certs"
		look    = "kubectl describe certificate --namespace ns issued"
		create  = "kubectl create secret tls --namespace ns certs --cert=tls.crt --key=tls.key"
		replace = create + " --dry-run=client --output yaml | kubectl apply --filename -"
	)
	stored := &storedSecret{}
	for name, c := range map[string]struct {
		mode                 string
		stored               *storedSecret
		origin               string
		trust, secret, renew string
	}{
		"auto, a Secret of kthena-certgen's": {Auto, stored, originCertgen, restart, restart, restart},
		"auto, a Secret of somebody else":    {Auto, stored, originUser, restart, remove + " && " + restart, restart},
		"auto, no Secret":                    {Auto, nil, "", restart, restart, restart},
		"cert-manager": {
			CertManager, stored, originCertManager, "kubectl rollout restart --namespace cert-manager deployment/cert-manager-cainjector", remove,
			look + " && " + restart,
		},
		"cert-manager, no Secret": {
			CertManager, nil, "", "kubectl rollout restart --namespace cert-manager deployment/cert-manager-cainjector", look,
			look + " && " + restart,
		},
		"manual": {
			Manual, stored, originUser, `helm upgrade r CHART --namespace ns --reuse-values --set global.webhook.caBundle="$(base64 -w0 ca.crt)"`,
			replace, replace + " && " + restart,
		},
		"manual, no Secret": {
			Manual, nil, "", `helm upgrade r CHART --namespace ns --reuse-values --set global.webhook.caBundle="$(base64 -w0 ca.crt)"`, create,
			create + " && " + restart,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &Verifier{Release: "r", Namespace: "ns", report: Report{Mode: c.mode}}
			s := &server{
				Server: Server{Deployment: "server", Secret: Secret{Name: "certs", Origin: c.origin}}, stored: c.stored, certificate: "ns/issued",
			}
			assert.Equal(t, c.trust, v.trustRemedy("server"))
			assert.Equal(t, c.secret, v.secretRemedy(s))
			assert.Equal(t, c.renew, v.renewRemedy(s))
		})
	}
}

func TestTheRemedyOfAnEndpointIsThatOfItsPod(t *testing.T) {
	t.Parallel()
	v := &Verifier{Namespace: "ns"}
	pod, alone := Endpoint{Pod: "p", Address: "10.0.0.1", Port: 8443}, Endpoint{Address: "fd00::1", Port: 8443}
	assert.Equal(t, "kubectl delete pod --namespace ns p", v.podRemedy(pod))
	assert.Equal(t, "Pod ns/p", pod.object(v))
	assert.Equal(t, "kubectl get endpointslices --namespace ns", v.podRemedy(alone))
	assert.Equal(t, "endpoint [fd00::1]:8443", alone.object(v))
	assert.Equal(t, "kubectl describe pods --namespace ns --selector app.kubernetes.io/component=server", v.podsRemedy("server"))
}
