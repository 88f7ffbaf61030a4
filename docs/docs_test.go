// Package docs tests that the manual is true: what it links to, names and shows exists. Its commands are run by
// test/manual.
package docs

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
)

const root = ".."

// pages are all Markdown files of the repository, by their paths from its root.
func pages(t *testing.T) map[string]markdown.Page {
	t.Helper()
	found, err := markdown.ParseAll(root)
	require.NoError(t, err)
	return found
}

// manual are the pages of this folder, in the order of their names.
func manual(t *testing.T) []markdown.Page {
	t.Helper()
	var list []markdown.Page
	for path, page := range pages(t) {
		if filepath.Dir(path) == "docs" {
			list = append(list, page)
		}
	}
	require.NotEmpty(t, list)
	slices.SortFunc(list, func(a, b markdown.Page) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	all := pages(t)
	for _, page := range all {
		for _, link := range page.Links {
			target, err := url.Parse(link.Text)
			if !assert.NoError(t, err, page.Position(link)) {
				continue
			}
			if target.Scheme != "" {
				assert.Equal(t, "https", target.Scheme, page.Position(link))
				assert.NotEmpty(t, target.Host, page.Position(link))
				continue
			}
			path := page.Path
			if target.Path != "" {
				path = filepath.Join(filepath.Dir(page.Path), target.Path)
			}
			_, err = os.Stat(filepath.Join(root, path))
			assert.NoError(t, err, "%s: %s", page.Position(link), link.Text)
			if target.Fragment != "" {
				assert.Contains(t, all[path].Anchors, target.Fragment, "%s: %s", page.Position(link), link.Text)
			}
		}
	}
}

// Whoever begins at the index finds every page: those of this folder there, and others by going on.
func TestTheIndexLeadsToEveryPage(t *testing.T) {
	const index = "docs/README.md"
	all := pages(t)
	reached := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		for _, next := range linked(all[path]) {
			if !reached[next] {
				reached[next] = true
				visit(next)
			}
		}
	}
	visit(index)
	for path := range all {
		switch {
		case path == index:
		case filepath.Dir(path) == "docs":
			assert.Contains(t, linked(all[index]), path)
		case strings.HasPrefix(path, "docs/"):
			assert.True(t, reached[path], "no link leads to %s", path)
		}
	}
}

// linked are the files that a page links to, by their paths from the root.
func linked(page markdown.Page) []string {
	var paths []string
	for _, link := range page.Links {
		if target, _, _ := strings.Cut(link.Text, "#"); target != "" && !strings.Contains(target, ":") {
			paths = append(paths, filepath.Join(filepath.Dir(page.Path), target))
		}
	}
	return paths
}
