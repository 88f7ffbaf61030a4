package verify

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines dial as they are told to.
type lines struct {
	endpoint func(context.Context) (net.Conn, error)
	service  func(context.Context) (net.Conn, error)
}

func (l lines) DialEndpoint(ctx context.Context, _ string, _ Endpoint) (net.Conn, error) {
	return l.endpoint(ctx)
}

func (l lines) DialService(ctx context.Context, _ string, _ int) (net.Conn, error) {
	return l.service(ctx)
}

func TestAServerThatCannotBeReachedIsNamed(t *testing.T) {
	t.Parallel()
	says := func(err error) func(context.Context) (net.Conn, error) {
		return func(context.Context) (net.Conn, error) { return nil, err }
	}
	hangs := func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	const logs = "; kubectl logs --namespace ns deployment/server --all-containers"
	unsupported, refused := says(errors.ErrUnsupported), says(errors.New("connection refused"))
	for name, c := range map[string]struct {
		change    func(r *release)
		lines     lines
		want      []string
		forbidden []string
	}{
		"without the port": {
			change: func(r *release) {
				r.objects[servicePath] = json.RawMessage(`{"spec":{"ports":[{"name":"webhook","port":8443}]}}`)
			},
			want: []string{
				"service-port: Service ns/hook: it has no port 443, and is called by check.example.com; helm upgrade r CHART --namespace ns " +
					"--reuse-values",
			},
		},
		"without a pod": {
			change: func(r *release) { r.objects[slicesPath] = map[string]any{} },
			want: []string{"no-endpoints: Service ns/hook: no pod behind it is ready, and is called by check.example.com; " +
				"kubectl describe pods --namespace ns --selector app.kubernetes.io/component=server"},
		},
		"at a pod": {
			lines: lines{refused, unsupported},
			want: []string{
				"endpoint-unreachable: Pod ns/pod: port 8443 cannot be reached: connection refused, and it is behind Service hook" + logs,
			},
		},
		"at a pod that does not answer": {
			lines: lines{hangs, unsupported},
			want: []string{
				"endpoint-unreachable: Pod ns/pod: port 8443 cannot be reached: no answer within 5s, and it is behind Service hook" + logs,
			},
		},
		"at its Service": {
			lines: lines{unsupported, refused},
			want: []string{
				"endpoint-unreachable: Service ns/hook: port 443 cannot be reached: connection refused, and is called by check.example.com" + logs,
			},
		},
		"but not where there is no way to it": {lines: lines{unsupported, unsupported}},
		"but not where the way is forbidden": {
			lines: lines{says(forbidden("pods", "no")), unsupported}, forbidden: []string{"create pods/portforward"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, _ := newRelease(t)
				if c.change != nil {
					c.change(r)
				}
				// A call of it fails as well, which is then explained.
				if len(c.want) > 0 {
					r.created = func(string, bool) error { return failed("check.example.com", "dial tcp: no") }
				}
				v := &Verifier{API: r, Dialer: c.lines, Release: "r", Namespace: "ns", Now: func() time.Time { return now }}
				report, err := v.Run(t.Context())
				require.NoError(t, err)
				assert.Equal(t, c.want, texts(report))
				assert.Equal(t, c.forbidden, report.MissingRights)
				for _, e := range report.Servers[0].Endpoints {
					assert.Nil(t, e.Certificate)
				}
			})
		})
	}
}

// Where the pods cannot be asked from here, nothing says that they answer.
func TestACallThatFailsIsNotLaidToANetworkPolicyUnlessThePodsAnswer(t *testing.T) {
	t.Parallel()
	r, _ := newRelease(t)
	r.created = func(string, bool) error { return failed("check.example.com", "dial tcp: connection refused") }
	unsupported := func(context.Context) (net.Conn, error) { return nil, errors.ErrUnsupported }
	v := &Verifier{API: r, Dialer: lines{unsupported, unsupported}, Release: "r", Namespace: "ns", Now: func() time.Time { return now }}
	report, err := v.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"call-failed: webhook check.example.com of ValidatingWebhookConfiguration config: " +
		"the API server cannot call it at Service hook: dial tcp: connection refused; kubectl logs --namespace ns deployment/server " +
		"--all-containers"}, texts(report))
}

func TestALookThatIsEndedIsAnError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	r, _ := newRelease(t)
	v := &Verifier{API: r, Release: "r", Namespace: "ns", Now: func() time.Time { return now }, Dialer: lines{
		func(ctx context.Context) (net.Conn, error) { cancel(enough); return nil, ctx.Err() },
		func(context.Context) (net.Conn, error) { return nil, errors.ErrUnsupported },
	}}
	_, err := v.Run(ctx)
	require.ErrorIs(t, err, enough)
}

func TestWhatIsForbiddenIsNoFault(t *testing.T) {
	t.Parallel()
	for path, right := range map[string]string{
		deploymentPath: "get deployments server",
		servicePath:    "get services hook",
		slicesPath:     "list endpointslices",
	} {
		r, _ := newRelease(t)
		r.errors[path] = forbidden("things", "no")
		report, err := r.verify(t)
		require.NoError(t, err)
		assert.Empty(t, report.Findings, path)
		assert.Equal(t, []string{right}, report.MissingRights)
	}
	for path, want := range map[string]string{
		deploymentPath: "getting deployments ns/server: no",
		servicePath:    "getting services ns/hook: no",
		slicesPath:     "listing endpointslices ns: no",
	} {
		r, _ := newRelease(t)
		r.errors[path] = errors.New("no")
		_, err := r.verify(t)
		require.ErrorContains(t, err, want)
	}
}
