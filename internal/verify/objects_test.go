package verify

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func read[T any](t *testing.T, text string) T {
	t.Helper()
	var o T
	require.NoError(t, json.Unmarshal([]byte(text), &o))
	return o
}

func TestTheSecretOfAServerIsFoundByItsPods(t *testing.T) {
	t.Parallel()
	const (
		mounts   = `"containers":[{"volumeMounts":[{"name":"other","mountPath":"/tmp"},{"name":"certs","mountPath":"/etc/tls"}]}]`
		notHere  = `"containers":[{"volumeMounts":[{"name":"certs","mountPath":"/etc/router-tls"}]}]`
		initArgs = `"--secret-name=made","--dns-name=a","--dns-name=b"`
	)
	writer := func(volume, args string) string {
		return `"initContainers":[{"args":[` + args + `],"volumeMounts":[{"name":"` + volume + `","mountPath":"/certs"}]}]`
	}
	for name, c := range map[string]struct {
		pod, secret string
		dnsNames    []string
	}{
		"as the volume": {
			pod:    mounts + `,"volumes":[{"name":"other","secret":{"secretName":"x"}},{"name":"certs","secret":{"secretName":"mounted"}}]`,
			secret: "mounted",
		},
		"as what an init container writes": {
			pod: mounts + `,"volumes":[{"name":"certs"}],` + writer("certs", initArgs), secret: "made", dnsNames: []string{"a", "b"},
		},
		"not as what is written to another volume": {pod: mounts + `,` + writer("other", initArgs)},
		"not where no volume is mounted there": {
			pod: notHere + `,` + writer("certs", initArgs) + `,"volumes":[{"name":"certs","secret":{"secretName":"mounted"}}]`,
		},
		"not by a container without a volume":    {pod: `"containers":[],` + writer("", initArgs)},
		"not where an init container names none": {pod: mounts + `,` + writer("certs", `"--dns-name=a"`)},
		"not where an init container names two":  {pod: mounts + `,` + writer("certs", `"--secret-name=a","--secret-name=b"`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secret, dnsNames := read[podSpec](t, "{"+c.pod+"}").mounted(webhookFolder)
			assert.Equal(t, c.secret, secret)
			assert.Equal(t, c.dnsNames, dnsNames)
		})
	}
}

func TestTheReadyEndpointsOfAPortAreThosePodsOnce(t *testing.T) {
	t.Parallel()
	slices := read[[]EndpointSlice](t, `[
		{"ports":[{"name":"metrics","port":9090},{"name":"webhook","port":8443}],"endpoints":[
			{"addresses":["10.0.0.3"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"c"}},
			{"addresses":["10.0.0.1","10.0.0.9"],"targetRef":{"kind":"Pod","name":"a"}},
			{"addresses":["10.0.0.2"],"conditions":{"ready":false},"targetRef":{"kind":"Pod","name":"b"}},
			{"addresses":[],"targetRef":{"kind":"Pod","name":"d"}}]},
		{"ports":[{"name":"webhook","port":8443}],"endpoints":[
			{"addresses":["fd00::1"],"targetRef":{"kind":"Pod","name":"a"}},
			{"addresses":["10.0.1.2"],"targetRef":{"kind":"Node","name":"n"}},
			{"addresses":["10.0.1.1"]}]},
		{"ports":[{"name":"webhook"}],"endpoints":[{"addresses":["10.0.2.1"],"targetRef":{"kind":"Pod","name":"e"}}]}]`)
	assert.Equal(t, []Endpoint{
		{Address: "10.0.1.1", Port: 8443},
		{Address: "10.0.1.2", Port: 8443},
		{Pod: "a", Address: "10.0.0.1", Port: 8443},
		{Pod: "c", Address: "10.0.0.3", Port: 8443},
	}, ReadyEndpoints(slices, "webhook"))
	assert.Equal(t, []Endpoint{}, ReadyEndpoints(nil, "webhook"))
}

func TestAPortOfAServiceIsFoundByItsNumber(t *testing.T) {
	t.Parallel()
	s := read[service](t, `{"spec":{"ports":[{"name":"metrics","port":9090},{"name":"webhook","port":443}]}}`)
	name, ok := s.port(443)
	assert.Equal(t, "webhook", name)
	assert.True(t, ok)
	_, ok = s.port(444)
	assert.False(t, ok)
}

func TestManagersAreNamedOnce(t *testing.T) {
	t.Parallel()
	m := metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: "kubectl"},
		{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:webhooks":{"k:{\"name\":\"a\"}":{"f:clientConfig":{"f:caBundle":{}}}}}`)},
		{Manager: "broken", FieldsV1: metav1.NewFieldsV1(`[]`)},
		{Manager: "cainjector", FieldsV1: metav1.NewFieldsV1(`{"f:webhooks":{"k:{\"name\":\"a\"}":{"f:clientConfig":{"f:caBundle":{}}}}}`)},
		{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:webhooks":{"k:{\"name\":\"a\"}":{"f:clientConfig":{"f:caBundle":{}}}}}`)},
	}}
	assert.Equal(t, []string{"broken", "cainjector", "helm", "kubectl"}, managers(m))
	assert.Equal(t, []string{"cainjector", "helm"}, bundleManagers(m, "a"))
}
