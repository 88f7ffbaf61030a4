// Package markdown reads the project's Markdown pages as far as the tests that keep them true need it.
package markdown

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// Page is what a page says, each part in the order of the text.
type Page struct {
	// Path is where the page lies.
	Path string
	// Anchors are those that a forge gives the headings.
	Anchors []string
	// Links are the destinations of links and images.
	Links []Part
	// Code are the code spans.
	Code []Part
	// Blocks are the code blocks.
	Blocks []Block
}

// Part is a piece of the text.
type Part struct {
	Text string
	// Line is where it begins, from 1.
	Line int
}

// Block is a code block.
type Block struct {
	Part
	// Language is the first word of the fence's info string, which a forge colours the text by. Empty: there is none, or
	// the block is an indented one.
	Language string
	// Mark is the rest of the info string, which no reader of the rendered page sees.
	Mark string
	// Section is the anchor of the heading of the first or second level that the block stands below.
	Section string
}

// Needs is what the commands of the block need that the tests lack, empty when they are run.
func (b Block) Needs() string {
	if need, ok := strings.CutPrefix(b.Mark, "needs "); ok {
		return need
	}
	return ""
}

// Position names the place of a part for a message.
func (p Page) Position(part Part) string { return fmt.Sprintf("%s:%d", p.Path, part.Line) }

// Parse reads a page that lies at path.
func Parse(path string, source []byte) Page {
	r := reader{source: source, page: Page{Path: path}, seen: map[string]int{}}
	document := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(source))
	// The walker's errors are those of visit, which has none.
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			r.visit(n)
		}
		return ast.WalkContinue, nil
	})
	return r.page
}

// ParseAll reads all pages below a folder, by their paths from it. Built files and the data of tests are no pages.
func ParseAll(root string) (map[string]Page, error) {
	found := map[string]Page{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "dist", "testdata"}, entry.Name()):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		found[path] = Parse(path, content)
		return err
	})
	return found, err
}

type reader struct {
	source []byte
	page   Page
	// seen counts the headings by their anchors: a second one gets a number.
	seen map[string]int
	// section is that of the blocks to come.
	section string
}

func (r *reader) visit(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		anchor := r.anchor(r.text(n))
		r.page.Anchors = append(r.page.Anchors, anchor)
		if n.Level <= 2 {
			r.section = anchor
		}
	case *ast.Link:
		r.page.Links = append(r.page.Links, Part{string(n.Destination), r.line(n)})
	case *ast.Image:
		r.page.Links = append(r.page.Links, Part{string(n.Destination), r.line(n)})
	case *ast.AutoLink:
		r.page.Links = append(r.page.Links, Part{string(n.URL(r.source)), r.line(n)})
	case *ast.CodeSpan:
		r.page.Code = append(r.page.Code, Part{r.text(n), r.line(n)})
	case *ast.FencedCodeBlock:
		b := Block{Part: r.block(n), Section: r.section}
		if n.Info != nil {
			language, mark, _ := strings.Cut(string(n.Info.Segment.Value(r.source)), " ")
			b.Language, b.Mark = language, strings.TrimSpace(mark)
		}
		r.page.Blocks = append(r.page.Blocks, b)
	case *ast.CodeBlock:
		r.page.Blocks = append(r.page.Blocks, Block{Part: r.block(n), Section: r.section})
	}
}

// block is the text of a code block, without what it is indented by.
func (r *reader) block(n ast.Node) Part {
	var b strings.Builder
	lines := n.Lines()
	for i := range lines.Len() {
		segment := lines.At(i)
		b.Write(segment.Value(r.source))
	}
	if lines.Len() == 0 {
		return Part{}
	}
	return Part{b.String(), r.lineAt(lines.At(0).Start)}
}

// text is what a reader sees of an inline node.
func (r *reader) text(n ast.Node) string {
	var b strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if t, ok := child.(*ast.Text); ok {
			b.Write(t.Segment.Value(r.source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
			continue
		}
		b.WriteString(r.text(child))
	}
	// A code span keeps its line breaks; a reader sees blanks.
	return strings.ReplaceAll(b.String(), "\n", " ")
}

// line is where the text of an inline node begins, or, without a text, the block that holds it.
func (r *reader) line(n ast.Node) int {
	for child := n.FirstChild(); child != nil; child = child.FirstChild() {
		if t, ok := child.(*ast.Text); ok {
			return r.lineAt(t.Segment.Start)
		}
	}
	for n != nil && n.Type() == ast.TypeInline {
		n = n.Parent()
	}
	if n == nil || n.Lines().Len() == 0 {
		return 0
	}
	return r.lineAt(n.Lines().At(0).Start)
}

func (r *reader) lineAt(offset int) int { return 1 + bytes.Count(r.source[:offset], []byte("\n")) }

// anchor is the fragment by which a forge links to a heading: lower case, hyphens for blanks, nothing but letters, digits,
// hyphens and underscores, and a number behind the second of its kind.
func (r *reader) anchor(heading string) string {
	a := strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
			return unicode.ToLower(c)
		}
		return -1
	}, strings.TrimSpace(heading))
	count := r.seen[a]
	r.seen[a]++
	if count > 0 {
		return fmt.Sprintf("%s-%d", a, count)
	}
	return a
}
