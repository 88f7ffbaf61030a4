package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
	"github.com/volcano-sh/kthena-certgen/test/rig/source"
)

// reasonCode matches what the manual can only mean as a reason of package secret.
var reasonCode = regexp.MustCompile(`^(created|reused|(renewed|repaired|refused):[a-z-]+)$`)

// That the table has all reasons of the code, and no other, is tested where each of them is produced: test/integration.
func TestEveryReasonCodeThatIsNamedIsInTheTable(t *testing.T) {
	explained := firstColumn(t, "reference.md", "## Reason codes")
	for _, page := range manual(t) {
		for _, code := range page.Code {
			if reasonCode.MatchString(code.Text) {
				assert.Contains(t, explained, code.Text, page.Position(code))
			}
		}
	}
}

func TestTheManualHasEveryExitCodeAndNoOther(t *testing.T) {
	assertSame(t, constants(t, "../internal/command", "exit"), firstColumn(t, "reference.md", "## Exit codes"))
}

func assertSame(t *testing.T, inCode, inManual []string) {
	t.Helper()
	slices.Sort(inCode)
	slices.Sort(inManual)
	assert.Equal(t, inCode, inManual, "expected is what the code has, actual is what the manual has")
}

// constants are the numbers of the constants of a package whose names begin with prefix. They are read from the source, because
// users meet them as numbers and no program needs them exported.
func constants(t *testing.T, dir, prefix string) []string {
	t.Helper()
	all, err := source.Constants(dir)
	require.NoError(t, err)
	var values []string
	for _, c := range all {
		if strings.HasPrefix(c.Name, prefix) {
			values = append(values, c.Value)
		}
	}
	require.NotEmpty(t, values, "in %s", dir)
	return values
}

// firstColumn is the first column of the tables below a heading of a page.
func firstColumn(t *testing.T, page, heading string) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	cells := markdown.FirstColumn(string(content), heading)
	require.NotEmpty(t, cells, "%s has no table below %q", page, heading)
	return cells
}
