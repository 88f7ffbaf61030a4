package docs

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reference is what an SVG asks for elsewhere; a code host shows none of it.
var reference = regexp.MustCompile(`(?i)\burl\(|@import|@font-face|javascript:`)

// pictures are the paths of the manual's, from its folder.
func pictures(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.svg")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

func TestEveryPictureNeedsNothingElseAndIsSmall(t *testing.T) {
	for _, path := range pictures(t) {
		svg, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Less(t, len(svg), 200_000, path)
		assert.NotRegexp(t, reference, string(svg), path)
		if strings.Contains(string(svg), "@keyframes") {
			assert.Contains(t, string(svg), "prefers-reduced-motion:no-preference", path)
		}
		decoder := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, path)
			element, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			assert.NotContains(t, []string{"script", "image", "foreignObject", "use", "a"}, element.Name.Local, path)
			for _, a := range element.Attr {
				assert.False(t, a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on"), "%s: %s=%q", path, a.Name.Local, a.Value)
			}
		}
	}
}

// recorded are the pictures of terminals, and the page that has each one.
var recorded = map[string]string{"demo.svg": "README.md"}

// A picture and the text below it are of the same run.
func TestThePageHasTheTextOfItsPicture(t *testing.T) {
	for path, page := range recorded {
		svg, err := os.ReadFile(path)
		require.NoError(t, err)
		var picture struct {
			Title string `xml:"title"`
			Desc  string `xml:"desc"`
		}
		require.NoError(t, xml.Unmarshal(svg, &picture), path)
		assert.NotEmpty(t, picture.Title, path)
		assert.Contains(t, string(svg), "prefers-color-scheme:dark", path)
		// The picture begins with the command, and with what make says.
		text := regexp.MustCompile(`^\$ .*\n(building .*\n)*`).ReplaceAllString(picture.Desc, "")
		source, err := os.ReadFile(filepath.Join(root, page))
		require.NoError(t, err)
		ahead, rest, found := strings.Cut(string(source), path+")\n")
		require.True(t, found, "%s does not show %s", page, path)
		between, rest, found := strings.Cut(rest, "```text\n")
		require.True(t, found, "%s has no text below %s", page, path)
		shown, behind, found := strings.Cut(rest, "```\n")
		require.True(t, found, page)
		if *update {
			all := ahead + path + ")\n" + between + "```text\n" + text + "```\n" + behind
			require.NoError(t, os.WriteFile(filepath.Join(root, page), []byte(all), 0o644))
			continue
		}
		assert.Equal(t, text, shown, "write it anew with: go test ./docs -update")
	}
}
