package markdown

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFirstColumn(t *testing.T) {
	const page = "# T\n\n| x | y |\n|---|---|\n| not this | |\n\n## Codes\n\n| code | |\n|---|---|\n| `a`, `b` | `c` |\n| plain | |\n\n| " +
		"more | |\n|---|---|\n| `d` | |\n\n## Next\n\n| x |\n|---|\n| nor this |\n"
	assert.Equal(t, []string{"a", "b", "plain", "d"}, FirstColumn(page, "## Codes"))
	assert.Empty(t, FirstColumn(page, "## Missing"))
}
