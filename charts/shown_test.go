package charts

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// `helm show values` prints the umbrella's file alone. So it has those of each subchart too, commented out: what they say is the default.
func TestTheUmbrellasValuesShowThoseOfTheSubcharts(t *testing.T) {
	for _, name := range subcharts {
		t.Run(name, func(t *testing.T) {
			var shown strings.Builder
			for line := range strings.Lines(string(read(t, filepath.Join(umbrella, "charts", name), "values.yaml"))) {
				if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "#") {
					shown.WriteString("  # " + line)
				}
			}
			content := string(read(t, umbrella, "values.yaml"))
			block := regexp.MustCompile(`(?m)^` + name + `:\n  # -- .*\n  enabled: true\n((?:  # .*\n)*)`).FindStringSubmatchIndex(content)
			require.NotNil(t, block)
			if *update {
				content = content[:block[2]] + shown.String() + content[block[3]:]
				require.NoError(t, os.WriteFile(filepath.Join(umbrella, "values.yaml"), []byte(content), 0o644))
				return
			}
			assert.Equal(t, shown.String(), content[block[2]:block[3]], "run `make golden`")
		})
	}
}
