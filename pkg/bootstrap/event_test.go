package bootstrap_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
)

// events is an API that calls a function for each Event.
type events func(ctx context.Context, e *core.Event) error

func (f events) Create(ctx context.Context, e *core.Event, _ metav1.CreateOptions) (*core.Event, error) {
	return e, f(ctx, e)
}

func TestAnEventHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPass(newMemory(), free)
		p.Dir = t.TempDir()
		p.Events = events(func(ctx context.Context, _ *core.Event) error {
			time.Sleep(time.Millisecond) // until everything else is done
			synctest.Wait()
			files, err := os.ReadDir(p.Dir)
			assert.NoError(t, err)
			assert.NotEmpty(t, files, "the files do not wait for the Event")
			<-ctx.Done()
			return context.Cause(ctx)
		})
		begun := time.Now()
		_, err := p.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(begun), "the pass gives up on the Event")
	})
}

func TestTheNameOfAnEventIsThatOfItsSecretAndTheTime(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 126) + "a"
	for secret, want := range map[string]string{"certs": "certs.", long: long[:235] + "."} {
		p := newPass(newMemory(), free)
		p.Secret.Name = secret
		var names []string
		p.Events = events(func(_ context.Context, e *core.Event) error {
			names = append(names, e.Name)
			return nil
		})
		_, err := p.Run(t.Context())
		require.NoError(t, err)
		require.Len(t, names, 1)
		assert.Equal(t, want, names[0][:len(want)])
		assert.Regexp(t, `^[0-9a-f]{16}$`, names[0][len(want):])
		assert.Empty(t, validation.IsDNS1123Subdomain(names[0]))
	}
}
