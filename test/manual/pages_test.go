package manual

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
)

// languages are those of blocks that hold no commands.
var languages = []string{"text", "yaml", "mermaid"}

// typed matches a line that a reader would type, if it does not go on with the placeholders of a synopsis.
var typed = regexp.MustCompile(
	`(?m)^\s*(?:\$ +)?(?:kubectl|helm|kthena-certgen|make|go|git|docker|kind|cosign|curl|openssl)(?: +[^\s\[]+)+$`,
)

// Whatever a block of commands looks like, it is a fence of sh: an indented one has no language, and so no test would see it.
func TestEveryCommandStandsInAFenceOfItsLanguage(t *testing.T) {
	for _, page := range pages(t) {
		for _, block := range page.Blocks {
			if block.Language == "sh" {
				continue
			}
			assert.Contains(t, languages, block.Language, "%s: a block is a fence with its language", page.Position(block.Part))
			if block.Mark == "output" {
				continue // of the commands above it, and compared with it
			}
			assert.NotRegexp(t, typed, block.Text, "%s: commands belong into a fence of sh", page.Position(block.Part))
		}
	}
}

func TestEveryPageWithCommandsIsRun(t *testing.T) {
	run := func(path, section string) bool {
		return slices.Contains(elsewhere, path) || slices.ContainsFunc(steps, func(s step) bool {
			return s.page == path && (s.section == "" || s.section == section)
		})
	}
	got := map[string]int{}
	for path, page := range pages(t) {
		for _, block := range page.Blocks {
			switch {
			case block.Language != "sh":
			case block.Needs() != "":
				got[block.Needs()]++
				fallthrough
			default:
				assert.True(t, run(path, block.Section), "%s: nothing runs the commands", page.Position(block.Part))
			}
		}
	}
	assert.Equal(t, unrun, got, "the blocks that are not run")
}

// pages are all pages of the repository, by path.
func pages(t *testing.T) map[string]markdown.Page {
	t.Helper()
	found, err := markdown.ParseAll(env.Root)
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}
