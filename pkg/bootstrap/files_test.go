package bootstrap_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What somebody stored may hold more than certificates. The file is what a server or a client reads, and holds those alone.
func TestTheFileOfCAsHoldsTheCertificatesAlone(t *testing.T) {
	t.Parallel()
	b := generate(t, now)
	m := newMemory()
	m.secret = secretOf(b)
	m.secret.Data["ca.crt"] = slices.Concat([]byte("the company's CA\n"), b.Key, b.CA, b.CA)
	p := newPass(m, free)
	p.Dir = t.TempDir()
	sum, err := p.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "reused", sum.Reason)
	assert.Equal(t, 1, sum.CAs)
	file, err := os.ReadFile(filepath.Join(p.Dir, "ca.crt"))
	require.NoError(t, err)
	assert.Equal(t, string(b.CA), string(file))
}
