package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/command"
)

var (
	// call matches the program's name and what follows it in a command line, with the lines that it goes on with.
	call     = regexp.MustCompile(`(?m)(?:^|[(|;&])[ \t]*kthena-certgen((?: (?:[^|;&)\n\\]|\\\n)*)?)(?:$|[|;&)])`)
	flagName = regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z-]*)`)
)

// foreign are flags that the manual mentions outside a command line and that are not the program's.
var foreign = []string{"--enable-aggregator-routing", "--force-conflicts", "--server-side"}

func TestEveryCommandAndFlagOfTheProgramExists(t *testing.T) {
	root := command.New("v0.0.0")
	for _, page := range manual(t) {
		for _, block := range page.Blocks {
			for _, match := range call.FindAllStringSubmatch(block.Text, -1) {
				if block.Language == "sh" {
					assertCall(t, root, page.Position(block.Part), match[1])
				}
			}
		}
		for _, code := range page.Code {
			switch {
			case strings.HasPrefix(code.Text, "kthena-certgen "):
				assertCall(t, root, page.Position(code), strings.TrimPrefix(code.Text, "kthena-certgen"))
			case strings.HasPrefix(code.Text, "--"):
				name := flagName.FindStringSubmatch(code.Text)
				require.NotNil(t, name, page.Position(code))
				assert.True(t, slices.Contains(foreign, name[1]) || anyHas(root, name[1]), "%s: no command has %s", page.Position(code), name[1])
			}
		}
	}
}

// assertCall checks the command and the flags of a command line, without its values.
func assertCall(t *testing.T, root *cobra.Command, position, line string) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(line, "\\\n", " "))
	require.NotEmpty(t, words, position)
	i := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, "-") })
	if i < 0 {
		i = len(words)
	}
	found, rest, err := root.Find(words[:i])
	require.NoError(t, err, position)
	if !assert.True(t, found.HasParent(), "%s: there is no command %q", position, words[0]) {
		return
	}
	assert.Empty(t, rest, position)
	for _, match := range flagName.FindAllStringSubmatch(line, -1) {
		assert.True(t, has(found, match[1]), "%s: %s has no %s", position, found.CommandPath(), match[1])
	}
}

// has reports whether the command takes the flag, which is written with its hyphens.
func has(cmd *cobra.Command, name string) bool {
	long, isLong := strings.CutPrefix(name, "--")
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		if isLong && set.Lookup(long) != nil || !isLong && set.ShorthandLookup(name[1:]) != nil {
			return true
		}
	}
	return long == "help"
}

func anyHas(root *cobra.Command, name string) bool {
	return has(root, name) || slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return has(c, name) })
}

func TestTheManualHasEveryCommandOfTheProgram(t *testing.T) {
	var inCode []string
	for _, c := range command.New("v0.0.0").Commands() {
		inCode = append(inCode, c.CommandPath())
	}
	assertSame(t, inCode, firstColumn(t, "reference.md", "## The program"))
}
