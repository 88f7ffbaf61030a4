package source

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConstants(t *testing.T) {
	dir := t.TempDir()
	text := "package p\n\ntype kind string\n\nconst (\n\tone = 1\n\ttwo kind = \"t\\\"wo\"\n\tthree = one + 2\n)\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte(text), 0o600))
	got, err := Constants(dir)
	require.NoError(t, err)
	assert.Equal(t, []Constant{{Name: "one", Value: "1"}, {Name: "two", Type: "kind", Value: `t"wo`}}, got)

	_, err = Constants(t.TempDir())
	assert.ErrorContains(t, err, "there are none")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.go"), []byte("package"), 0o600))
	_, err = Constants(dir)
	assert.ErrorContains(t, err, "parsing the constants: ")
}
