package webhook_test

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

func TestRetiringLeavesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	set := newCAs(t, 2)
	unreadable := []byte{0, 0, 0}
	c := newConfiguration(t, webhook.Validating, set.PEM(unreadable))
	res, err := c.Retire(t.Context(), set[:1], func(*x509.Certificate) bool { return true })
	require.NoError(t, err)
	assert.True(t, res.Patched)
	assert.Equal(t, set[:1].PEM(unreadable), entries(t, c)[0].CABundle)
}
