package shell

import (
	"encoding/csv"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWordsAreQuotedForAShell(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"charts/kthena": "charts/kthena",
		"oci://a.b/c":   "oci://a.b/c",
		"it's $x":       `'it'\''s $x'`,
		"a b\t*;&|\n~#": "'a b\t*;&|\n~#'",
		`a\b"c`:         `'a\b"c'`,
		"":              "''",
	} {
		quoted := quote(word, "linux")
		assert.Equal(t, want, quoted)
		read, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoted).Output()
		require.NoError(t, err)
		assert.Equal(t, word, string(read), "as a shell reads it")
	}
	for word, want := range map[string]string{
		`manual\secrets.yaml`:     `manual\secrets.yaml`,
		`C:\My Files\values.yaml`: `"C:\My Files\values.yaml"`,
		"":                        `""`,
	} {
		assert.Equal(t, want, quote(word, "windows"))
	}
}

func TestItemsOfListsAreQuotedForTheFlagsThatTakeLists(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"manual/values.yaml": "manual/values.yaml",
		"Sam's, a":           `'"Sam'\''s, a"'`,
		`a"b`:                `'"a""b"'`,
		"a\nb":               "'\"a\nb\"'",
	} {
		quoted := item(word, "linux")
		assert.Equal(t, want, quoted)
		read, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoted).Output()
		require.NoError(t, err)
		fields, err := csv.NewReader(strings.NewReader(string(read))).Read()
		require.NoError(t, err)
		assert.Equal(t, []string{word}, fields, "as pflag reads it")
	}
	assert.Equal(t, `"a,b"`, item("a,b", "windows"))
}
