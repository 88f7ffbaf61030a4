package webhook_test

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// A deployer that applies webhook configurations only when the pods are ready would never come to it.
func TestAConfigurationIsNotWaitedForForEverWhereAControllerHealsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const patience = 15 * time.Second
		begun := time.Now()
		var log bytes.Buffer
		api := &countingAPI{err: apierrors.NewNotFound(schema.GroupResource{}, "x")}
		c := &webhook.Configuration{
			API: api, Kind: webhook.Mutating, Name: "x", Patience: patience, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		res, err := c.Trust(t.Context(), newCAs(t, 1))
		require.NoError(t, err)
		assert.Equal(t, webhook.Result{Kind: webhook.Mutating, Name: "x"}, res)
		assert.GreaterOrEqual(t, time.Since(begun), patience)
		assert.Less(t, time.Since(begun), patience+5*time.Second)
		assert.Contains(
			t, log.String(),
			`level=WARN msg="going on without webhook configuration, which does not exist: the controller gives it the CA once it is there" `+
				`kind=MutatingWebhookConfiguration name=x`,
		)
		gets := api.gets
		_, err = c.Trust(t.Context(), newCAs(t, 1))
		require.NoError(t, err)
		assert.Equal(t, gets+1, api.gets, "it is waited for once")
		api.err = nil
		res, err = c.Trust(t.Context(), newCAs(t, 1))
		require.NoError(t, err)
		assert.True(t, res.Patched, "once it is there it gets the CA like any other")
	})
}
