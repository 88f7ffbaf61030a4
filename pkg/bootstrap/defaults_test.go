package bootstrap_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// Each of the three has something to say here: of a Secret that is repaired, of an annotation that is missing, of an Event that is lost.
func TestAClockAndALogMayBeLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		m := newMemory()
		m.secret = secretOf(generate(t, begun))
		m.secret.Data["tls.key"] = nil
		p := newPass(m, free)
		p.Now, p.Log = nil, nil
		p.Secret.Now, p.Secret.Log = nil, nil
		c := p.Configurations[0]
		c.Now, c.Log, c.Annotations = nil, nil, map[string]string{"a": "b"}
		recorded := make(chan *core.Event, 1)
		p.Events = events(func(_ context.Context, e *core.Event) error {
			recorded <- e
			return errors.New("no")
		})
		sum, err := p.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "repaired:malformed", sum.Reason)
		assert.True(t, begun.Add(gen.DefaultValidity).Equal(*sum.NotAfter), "%s", sum.NotAfter)
		assert.True(t, sum.WebhookConfigurations[0].Patched)
		assert.True(t, begun.Equal((<-recorded).FirstTimestamp.Time))
	})
}
