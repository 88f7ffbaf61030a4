package verify

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

const (
	routerDeploymentPath = "/apis/apps/v1/namespaces/ns/deployments/kthena-router"
	routerServicePath    = "/api/v1/namespaces/ns/services/kthena-router"
	routerSecretPath     = "/api/v1/namespaces/ns/secrets/router-tls"

	// In auto mode an init container writes the files, otherwise a Secret is mounted.
	routerAuto = `{"spec":{"template":{"spec":{
		"initContainers":[{"args":["--secret-name=router-tls","--dns-name=models.example.com"],"volumeMounts":[{"name":"v"}]}],
		"containers":[{"volumeMounts":[{"name":"v","mountPath":"/etc/router-tls"}]}]}}}}`
	routerMounted = `{"spec":{"template":{"spec":{
		"volumes":[{"name":"v","secret":{"secretName":"router-tls"}}],
		"containers":[{"volumeMounts":[{"name":"v","mountPath":"/etc/router-tls"}]}]}}}}`
	routerPlain = `{"spec":{"template":{"spec":{"containers":[{}]}}}}`
)

// newRouter is a release that is the router alone, which serves a certificate for models.example.com.
func newRouter(t *testing.T, deployment string) *release {
	t.Helper()
	r, _ := newRelease(t)
	r.objects[webhooksPath] = map[string]any{}
	b := made(t, "models.example.com")
	r.addRouter(deployment, b)
	return r
}

// addRouter has the pod serve b as the router, too.
func (r *release) addRouter(deployment string, b gen.Bundle) {
	r.serves = &b
	r.objects[routerDeploymentPath] = json.RawMessage(deployment)
	r.objects[routerServicePath] = json.RawMessage(`{"spec":{"ports":[{"name":"webhook","port":80}]}}`)
	r.store(b, "kthena-certgen", "")
}

// store puts b into the router's Secret, as made by a tool or for a Certificate of cert-manager's.
func (r *release) store(b gen.Bundle, managedBy, certificate string) {
	metadata := map[string]any{"labels": map[string]string{"app.kubernetes.io/managed-by": managedBy}}
	if certificate != "" {
		metadata["annotations"] = map[string]string{annotationCertificateName: certificate}
	}
	r.objects[routerSecretPath] = map[string]any{
		"metadata": metadata, "data": map[string][]byte{"tls.crt": b.Cert, "tls.key": b.Key, "ca.crt": b.CA},
	}
}

func TestARouterIsJudgedByWhatItsClientsTrust(t *testing.T) {
	t.Parallel()
	ends := now.Add(1000 * time.Hour)
	for name, c := range map[string]struct {
		deployment string
		broken     func(t *testing.T, r *release)
		mode       string
		notAfter   *time.Time
		want       []string // code and object
		remedy     string
	}{
		"that is good": {deployment: routerAuto, mode: Auto, notAfter: &ends},
		"that is good, of a mounted Secret": {
			deployment: routerMounted, broken: func(_ *testing.T, r *release) { r.store(*r.serves, "", "") }, mode: Manual, notAfter: &ends,
		},
		"that is good, of cert-manager": {
			deployment: routerMounted,
			broken:     func(_ *testing.T, r *release) { r.store(*r.serves, "", "router-cert") },
			mode:       CertManager,
			notAfter:   &ends,
		},
		"that serves no name of its clients": {
			deployment: routerAuto, mode: Auto, want: []string{"wrong-name Service ns/kthena-router", "secret-invalid Secret ns/router-tls"},
			broken: func(t *testing.T, r *release) {
				b := made(t, "other.example.com")
				r.serves = &b
				r.store(b, "kthena-certgen", "")
			},
			remedy: "kubectl rollout restart --namespace ns deployment/kthena-router",
		},
		"that serves a certificate of another CA": {
			deployment: routerAuto, mode: Auto, want: []string{"untrusted Pod ns/pod"},
			broken: func(t *testing.T, r *release) {
				b := made(t, "models.example.com")
				r.serves = &b
			},
			remedy: "kubectl delete pod --namespace ns pod",
		},
		"whose certificate has expired": {
			deployment: routerAuto, mode: Auto, want: []string{
				"expired Service ns/kthena-router", "secret-invalid Secret ns/router-tls", "clock-skew this machine",
			},
			broken: func(_ *testing.T, r *release) { r.ahead = -1001 * time.Hour },
			remedy: "kubectl rollout restart --namespace ns deployment/kthena-router",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRouter(t, c.deployment)
			if c.broken != nil {
				c.broken(t, r)
			}
			v := &Verifier{API: r, Dialer: r, Release: "r", Namespace: "ns", Now: func() time.Time { return now }}
			report, err := v.Run(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.mode, report.Mode)
			require.Len(t, report.Servers, 1)
			assert.Equal(t, "kthena-router", report.Servers[0].Name)
			assert.Equal(t, 80, report.Servers[0].Port)
			assert.Equal(t, c.notAfter, report.Servers[0].NotAfter)
			var got []string
			for _, f := range report.Findings {
				got = append(got, string(f.Code)+" "+f.Object)
			}
			assert.ElementsMatch(t, c.want, got)
			if len(report.Findings) > 0 {
				assert.Equal(t, c.remedy, report.Findings[0].Remedy)
				assert.Equal(t, VerdictBroken, report.Verdict)
			}
		})
	}
}

func TestARouterWithoutTLSIsNothingToVerify(t *testing.T) {
	t.Parallel()
	r := newRouter(t, routerPlain)
	_, err := r.verify(t)
	require.ErrorIs(t, err, ErrNothing)
	delete(r.objects, routerDeploymentPath)
	_, err = r.verify(t)
	require.ErrorIs(t, err, ErrNothing)
	r.errors[routerDeploymentPath] = forbidden("deployments", "no")
	report, err := r.verify(t)
	require.NoError(t, err, "there may be one")
	assert.Equal(t, []string{"get deployments kthena-router"}, report.MissingRights)
}

func TestARouterIsServedBesideWebhooks(t *testing.T) {
	t.Parallel()
	r, hook := newRelease(t)
	b := made(t, "hook.ns.svc", "models.example.com")
	r.addRouter(routerAuto, b)
	r.objects[secretPath] = r.objects[routerSecretPath]
	hook.ClientConfig.CABundle = b.CA
	report, err := r.verify(t)
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	require.Len(t, report.Servers, 2)
	assert.Nil(t, report.Servers[0].NotAfter, "that of a webhook is the entry's")
	assert.Equal(t, now.Add(1000*time.Hour), *report.Webhooks[0].NotAfter)
	assert.Equal(t, now.Add(1000*time.Hour), *report.Servers[1].NotAfter)
}

// fleet is a release of several pods, each of which serves a certificate of its own.
type fleet struct {
	*release
	serves map[string]*gen.Bundle
}

func (f fleet) DialEndpoint(ctx context.Context, namespace string, e Endpoint) (net.Conn, error) {
	one := *f.release
	one.serves = f.serves[e.Pod]
	return one.DialEndpoint(ctx, namespace, Endpoint{Pod: "pod", Address: "10.0.0.1", Port: 8443})
}

func newFleet(r *release, serves map[string]*gen.Bundle) fleet {
	var endpoints []any
	for pod := range serves {
		endpoints = append(
			endpoints, map[string]any{"addresses": []string{"10.0.0.1"}, "targetRef": map[string]string{"kind": "Pod", "name": pod}},
		)
	}
	r.objects[slicesPath] = map[string]any{
		"items": []any{map[string]any{"ports": []any{map[string]any{"name": "webhook", "port": 8443}}, "endpoints": endpoints}},
	}
	return fleet{r, serves}
}

func (f fleet) verify(t *testing.T) Report {
	t.Helper()
	v := &Verifier{API: f, Dialer: f, Release: "r", Namespace: "ns", Now: func() time.Time { return now }}
	report, err := v.Run(t.Context())
	require.NoError(t, err)
	return report
}

func TestThePodThatServesAnotherCertificateIsNamed(t *testing.T) {
	t.Parallel()
	t.Run("behind a webhook", func(t *testing.T) {
		t.Parallel()
		r, _ := newRelease(t)
		stranger := made(t, "hook.ns.svc")
		report := newFleet(r, map[string]*gen.Bundle{"good": r.serves, "bad": &stranger}).verify(t)
		assert.Equal(t, []string{"untrusted: Pod ns/bad: the certificate " + short(gen.Check(stranger, nil, now).Leaf) +
			" that it serves behind Service hook was signed by no CA that is trusted; kubectl delete pod --namespace ns bad"}, texts(report))
		assert.Nil(t, report.Webhooks[0].NotAfter, "not every pod is trusted")
	})
	t.Run("but not where all do", func(t *testing.T) {
		t.Parallel()
		r, hook := newRelease(t)
		one, other := made(t, "hook.ns.svc"), made(t, "hook.ns.svc")
		report := newFleet(r, map[string]*gen.Bundle{"one": &one, "other": &other}).verify(t)
		require.Len(t, report.Findings, 1)
		assert.Equal(t, Untrusted, report.Findings[0].Code)
		assert.Equal(t, "webhook check.example.com of ValidatingWebhookConfiguration config", report.Findings[0].Object)
		one, other = made(t, "x.ns.svc"), made(t, "x.ns.svc")
		hook.ClientConfig.CABundle = slices.Concat(one.CA, other.CA)
		report = newFleet(r, map[string]*gen.Bundle{"one": &one, "other": &other}).verify(t)
		require.NotEmpty(t, report.Findings)
		assert.Equal(t, "wrong-name: Service ns/hook: the certificate "+short(
			gen.Check(one, nil, now).Leaf,
		)+" that it serves is for x.ns.svc, not for hook.ns.svc; "+
			"kubectl rollout restart --namespace ns deployment/server", report.Findings[0].String())
	})
	t.Run("behind the router", func(t *testing.T) {
		t.Parallel()
		r := newRouter(t, routerAuto)
		short := shorter(t, "models.example.com", r.serves)
		r.store(*r.serves, "kthena-certgen", "")
		report := newFleet(r, map[string]*gen.Bundle{"good": r.serves, "shorter": &short}).verify(t)
		require.NotNil(t, report.Servers[0].NotAfter)
		assert.Equal(t, now.Add(500*time.Hour), *report.Servers[0].NotAfter, "the first end counts")
		other := made(t, "other.example.com")
		other.CA = append(other.CA, r.serves.CA...)
		r.store(gen.Bundle{CA: other.CA, Cert: r.serves.Cert, Key: r.serves.Key}, "kthena-certgen", "")
		report = newFleet(r, map[string]*gen.Bundle{"good": r.serves, "bad": &other}).verify(t)
		require.NotEmpty(t, report.Findings)
		assert.Equal(t, WrongName, report.Findings[0].Code)
		assert.Equal(t, "Pod ns/bad", report.Findings[0].Object)
		assert.Nil(t, report.Servers[0].NotAfter)
	})
}

// shorter is a certificate of a new CA, which is trusted beside that of b, and ends sooner than that.
func shorter(t *testing.T, name string, b *gen.Bundle) gen.Bundle {
	t.Helper()
	s, err := gen.Generate(gen.Spec{DNSNames: []string{name}, Validity: 500 * time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, now)
	require.NoError(t, err)
	b.CA = append(b.CA, s.CA...)
	return s
}
