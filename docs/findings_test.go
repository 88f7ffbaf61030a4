package docs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

var update = flag.Bool("update", false, "write the table of finding codes anew")

// The program describes its findings; the manual says the same.
func TestTheTableOfFindingCodesIsThatOfTheProgram(t *testing.T) {
	const head = "| finding | severity | meaning | what to do |\n|---|---|---|---|\n"
	var want strings.Builder
	for _, d := range verify.Codes {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", d.Code, d.Severity, d.Meaning, d.Remedy)
	}
	content, err := os.ReadFile("reference.md")
	require.NoError(t, err)
	before, table, found := strings.Cut(string(content), head)
	require.True(t, found)
	table, after, _ := strings.Cut(table, "\n\n")
	if *update {
		table = strings.TrimSuffix(want.String(), "\n")
		require.NoError(t, os.WriteFile("reference.md", []byte(before+head+table+"\n\n"+after), 0o644))
	}
	assert.Equal(t, want.String(), table+"\n", "write it anew with: go test ./docs -update")
	assert.Contains(t, string(content), "`"+verify.Schema+"`")
}
