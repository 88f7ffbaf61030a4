package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// reasonCode matches what the manual can only mean as a reason of package secret.
	reasonCode = regexp.MustCompile(`^(created|reused|(renewed|repaired|refused):[a-z-]+)$`)
	codeSpan   = regexp.MustCompile("`([^`]+)`")
)

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
	packages, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var values []string
	for _, path := range packages {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) != 1 {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.INT {
				values = append(values, literal.Value)
			}
			return false
		})
	}
	require.NotEmpty(t, values, "in %s", dir)
	return values
}

// firstColumn is what the first column of the tables below a heading holds: code spans, or where there are none, the text.
func firstColumn(t *testing.T, page, heading string) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	_, section, found := strings.Cut(string(content), "\n"+heading+"\n")
	require.True(t, found, "%s has no %q", page, heading)
	level, _, _ := strings.Cut(heading, " ")
	section, _, _ = strings.Cut(section, "\n"+level+" ")
	var cells []string
	inTable := 0 // lines so far, of which two are its head
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "|") {
			inTable = 0
			continue
		}
		if inTable++; inTable <= 2 {
			continue
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		spans := codeSpan.FindAllStringSubmatch(cell, -1)
		if spans == nil {
			cells = append(cells, strings.TrimSpace(cell))
		}
		for _, span := range spans {
			cells = append(cells, span[1])
		}
	}
	require.NotEmpty(t, cells, "%s has no table below %q", page, heading)
	return cells
}
