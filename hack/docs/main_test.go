package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	stored, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	require.NoError(t, err)
	current, err := reference()
	require.NoError(t, err)
	assert.Equal(t, string(current), string(stored), "run make docs")
	for _, c := range commands().Commands() {
		assert.Contains(t, string(stored), "\n## kthena-certgen "+c.Name()+"\n")
	}
}

func TestEveryCommandHasAManPage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man")
	require.NoError(t, manPages(dir))
	root := commands()
	for _, c := range append(root.Commands(), root) {
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		require.NoError(t, err)
		assert.Contains(t, string(page), ".SH NAME")
		assert.Contains(t, string(page), c.Short)
	}
}
