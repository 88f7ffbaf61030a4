package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// late is an API whose objects are all there at once, but for one that is read only when it may be.
type late struct {
	resource string
	may      chan struct{}
	objects  map[string]any // by resource
}

func (l *late) Follow(ctx context.Context, p string, query url.Values, h kube.Handler) error {
	resource := path.Base(p)
	if resource == l.resource {
		<-l.may
	}
	var events []kube.Event
	if o, exists := l.objects[resource]; exists {
		_, name, _ := strings.Cut(query.Get("fieldSelector"), "=")
		text, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("encoding an object: %w", err)
		}
		events = append(events, kube.Event{Name: name, Object: text})
	}
	h.Replace(events)
	<-ctx.Done()
	return ctx.Err()
}

func (*late) MergePatch(context.Context, string, any, string, any) error {
	return errors.New("nothing is to be changed")
}

// What is read last differs from start to start, and is what everything else has waited for.
func TestTheControllerIsReadyWhateverIsReadLast(t *testing.T) {
	t.Parallel()
	// Somebody else's, which is not used: nothing is written.
	foreign := core.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a-certs", Namespace: "ns"}}
	cfg := &Config{Release: "r", Namespace: "ns", Mode: verify.Auto, Components: []Component{
		{
			Deployment: "a",
			Certificates: []Certificate{
				{Service: "a", Port: "webhook", Secret: "a-certs", DNSNames: []string{"a.ns.svc"}, Mutating: []string{"m"}, Validating: []string{"v"}},
			},
		},
	}}
	for _, resource := range []string{
		"secrets", "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "deployments", "endpointslices",
	} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			api := &late{resource: resource, may: make(chan struct{}), objects: map[string]any{"secrets": foreign}}
			log := slog.New(slog.DiscardHandler)
			client, err := kube.New(&rest.Config{Host: "http://127.0.0.1:0"}, log)
			require.NoError(t, err)
			c := New(Options{Config: cfg, API: api, Client: client, Dialer: &kube.PodNetwork{}, Now: time.Now, Log: log})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); c.Run(ctx) }()
			t.Cleanup(func() { cancel(); <-ended })

			require.Never(t, func() bool { return c.Ready() == nil }, 10*pause, pause, "everything else has been looked at by now")
			close(api.may)
			assert.Eventually(t, func() bool { return c.Ready() == nil }, 10*time.Second, pause)
		})
	}
}
