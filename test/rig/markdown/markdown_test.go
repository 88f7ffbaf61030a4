package markdown_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
)

// source has quotes where Markdown has backquotes.
const source = `# What a 'run' says: it is over

See [the 'other' page](other.md#part) and
<https://example.com/>, then 'some
code' in the text.

| a | b |
|---|---|
| 'in a table' | ![picture](p.png) |

## Twice

## Twice

'''sh needs kind
one
  two
'''

    indented

### Deeper

- in a list

  '''yaml
  key: value
  '''
`

func TestParse(t *testing.T) {
	page := markdown.Parse("docs/page.md", []byte(strings.ReplaceAll(source, "'", "`")))
	part := func(text string, line int) markdown.Part { return markdown.Part{Text: text, Line: line} }
	assert.Equal(t, markdown.Page{
		Path:    "docs/page.md",
		Anchors: []string{"what-a-run-says-it-is-over", "twice", "twice-1", "deeper"},
		Links:   []markdown.Part{part("other.md#part", 3), part("https://example.com/", 3), part("p.png", 9)},
		Code:    []markdown.Part{part("run", 1), part("other", 3), part("some code", 4), part("in a table", 9)},
		Blocks: []markdown.Block{
			{Part: part("one\n  two\n", 16), Language: "sh", Mark: "needs kind", Section: "twice-1"},
			{Part: part("indented\n", 20), Section: "twice-1"},
			{Part: part("key: value\n", 27), Language: "yaml", Section: "twice-1"},
		},
	}, page)
	assert.Equal(t, "docs/page.md:16", page.Position(page.Blocks[0].Part))
	assert.Equal(t, "kind", page.Blocks[0].Needs())
	assert.Empty(t, page.Blocks[1].Needs())
}
