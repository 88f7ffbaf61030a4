package webhook_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// As a helm uninstall and install do: between the two the configuration is not there.
func TestAConfigurationThatIsDeletedBeforeThePatchIsWaitedForAgain(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 1)
	c := newConfiguration(t, webhook.Validating, nil)
	require.NoError(t, c.Load(t.Context()))
	require.NoError(
		t, cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), c.Name, metav1.DeleteOptions{}),
	)
	logged := make(chan string, 1)
	c.Log = slog.New(slog.NewTextHandler(lineWriter(logged), nil))
	done := make(chan error, 1)
	go func() {
		res, err := c.Trust(t.Context(), set)
		assert.Equal(t, err == nil, res.Patched)
		done <- err
	}()
	select {
	case line := <-logged:
		assert.Contains(
			t, line, `msg="waiting for webhook configuration" kind=ValidatingWebhookConfiguration name=`+c.Name+` reason="does not exist"`,
		)
	case err := <-done:
		require.Fail(t, "it is not waited for", "%v", err)
	}
	create(t, c.Name, nil)
	require.NoError(t, <-done)
	assert.Equal(t, set.PEM(), entries(t, c)[0].CABundle)
}
