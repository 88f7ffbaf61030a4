package controller

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// requestName says what a request is about, without what differs from run to run.
func requestName(r *http.Request) string {
	verb := r.Method
	if r.URL.Query().Get("watch") != "" {
		verb = "WATCH"
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	resource := parts[len(parts)-1]
	for i, part := range parts {
		switch part {
		case "secrets", "events", "deployments", "endpointslices", "pods":
			resource = part
		case "mutatingwebhookconfigurations", "validatingwebhookconfigurations":
			resource = strings.Join(parts[i:], "/")
		}
	}
	return verb + " " + resource
}

// onlyRegistry cuts a configuration down to its first component, and makes renewals due that the chart's settings do not: a
// certificate of the init container's is too short-lived for this controller.
func onlyRegistry(config string) string {
	config, _, _ = strings.Cut(config, "  - deployment: kthena-workload")
	config = strings.Replace(config, "validity: 87600h", "validity: 200000h", 1)
	return strings.Replace(config, "renewBefore: 0s", "renewBefore: 100000h", 1)
}

// A renewal and the roll behind it take some twenty requests. At each of them a controller is killed, before the API server has
// it and after, and the next one ends what it has begun.
func TestAControllerThatIsKilledAtAnyRequestIsFollowedByOneThatConverges(t *testing.T) {
	i := install(t, charttest.PerComponent(map[string]any{"replicas": 1}))
	var mu sync.Mutex
	point, when := "", ""
	var names []string
	seen := map[string]bool{}
	var c *process
	proxy := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		name := requestName(r)
		mu.Lock()
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
		hit := name == point
		if hit {
			point = "" // once
		}
		mu.Unlock()
		if hit && when == "before" {
			c.kill()
			return
		}
		if hit {
			// The answer to a watch ends only with the watch.
			go func() {
				<-time.After(10 * time.Millisecond)
				c.kill()
			}()
		}
		forward.ServeHTTP(w, r)
	})
	c = newProcess(t, i, proxy, onlyRegistry)
	name := autoSecret("registry")
	p := i.Probe(t, 20)
	round := func(t *testing.T, at, before string) {
		generation := get(t, i, "kthena-registry").Generation
		force(t, i, "registry")
		forced := fingerprint(t, i, name)
		mu.Lock()
		point, when = at, before
		mu.Unlock()
		c.start(t)
		if at != "" {
			select {
			case <-c.ended:
			case <-time.After(patience):
				require.Fail(t, "it was not killed at "+at)
			}
			c.start(t)
		}
		require.Eventually(t, func() bool { return fingerprint(t, i, name) != forced }, patience, 100*time.Millisecond, "it is renewed")
		awaitServed(t, i, "registry-webhook", fingerprint(t, i, name), 1)
		i.Settle(t)
		c.kill()
		_, stored := secretOf(t, i, name)
		for _, target := range i.Targets(t) {
			if target.Component == "kthena-registry" {
				live, _ := gen.ParseCertificates(target.CABundle)
				assert.True(t, live.ContainsAll(stored.CAs, time.Now()))
			}
		}
		// The certificate that was forced was replaced before, or just when, pods were rolled to it.
		rolls := get(t, i, "kthena-registry").Generation - generation
		assert.GreaterOrEqual(t, rolls, int64(1))
		assert.LessOrEqual(t, rolls, int64(2), "at most one roll for each of the two certificates")
	}
	round(t, "", "")
	mu.Lock()
	points := append([]string(nil), names...)
	mu.Unlock()
	require.GreaterOrEqual(t, len(points), 12, "%q", points)
	assert.Contains(t, points, "PUT secrets")
	assert.Contains(t, points, "PATCH deployments")
	for _, at := range points {
		if at == "POST pods" || testing.Short() && !strings.HasPrefix(at, "P") {
			continue // of the writes alone, with -short; the connections to pods are another test's
		}
		for _, before := range []string{"before", "after"} {
			if testing.Short() && before == "before" {
				continue
			}
			t.Run(before+" "+at, func(t *testing.T) { round(t, at, before) })
		}
	}
	report := p.Stop()
	t.Logf("killed at %d requests: %s", len(points), charttest.Figures(report))
	charttest.AssertNoneBroken(t, report)
}

// An API server in trouble is waited for, and then what was missed is made good.
func TestTroubleOfTheAPIServerIsRiddenOut(t *testing.T) {
	i := install(t, charttest.PerComponent(map[string]any{"replicas": 1}))
	status := func(code int, header, value string) handler {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(code)
		}
	}
	troubles := map[string]handler{
		"answers 429":             status(http.StatusTooManyRequests, "Retry-After", "1"),
		"answers 500":             status(http.StatusInternalServerError, "", ""),
		"does not know the token": status(http.StatusUnauthorized, "", ""),
		"ends every connection":   func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
		"has forgotten what it was": func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if r.URL.Query().Get("watch") == "" {
				forward.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(
				[]byte(
					`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old ` +
						`resource version"}}`,
				),
			)
		},
	}
	// While one is on, every request meets it, and watches that were there are cut.
	var trouble atomic.Pointer[handler]
	cut := make(chan struct{})
	var mu sync.Mutex
	proxy := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if on := trouble.Load(); on != nil {
			(*on)(w, r, forward)
			return
		}
		if r.URL.Query().Get("watch") == "" {
			forward.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		now := cut
		mu.Unlock()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { _ = recover() }() // the proxy's way to say that the connection has ended
			forward.ServeHTTP(w, r)
		}()
		select {
		case <-now:
			panic(http.ErrAbortHandler)
		case <-ended:
		}
	})
	c := newProcess(t, i, proxy, func(config string) string { return config })
	c.start(t)
	client := env.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	const name = "kthena-registry-validating-webhook"
	_, stored := secretOf(t, i, autoSecret("registry"))
	wipe := func(t *testing.T) {
		w, err := client.Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		w.Webhooks[0].ClientConfig.CABundle = nil
		_, err = client.Update(t.Context(), w, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	healed := func(t *testing.T) {
		require.Eventually(t, func() bool {
			w, err := client.Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(t, err)
			live, _ := gen.ParseCertificates(w.Webhooks[0].ClientConfig.CABundle)
			return live.ContainsAll(stored.CAs, time.Now())
		}, patience, 10*time.Millisecond)
	}
	wipe(t)
	healed(t)
	for title, on := range troubles {
		t.Run("one that "+title, func(t *testing.T) {
			trouble.Store(&on)
			mu.Lock()
			close(cut)
			cut = make(chan struct{})
			mu.Unlock()
			wipe(t)
			<-time.After(2 * time.Second) // in which it is in trouble
			trouble.Store(nil)
			begun := time.Now()
			healed(t)
			t.Logf("healed %s after the trouble", time.Since(begun).Round(10*time.Millisecond))
		})
	}
}
