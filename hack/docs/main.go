// Command docs writes what is known of the program's commands: docs/cli.md, seen from the root of the repository, or man pages
// into a folder that is named. It is a program of its own so that kthena-certgen need not link what renders them.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/volcano-sh/kthena-certgen/internal/command"
)

// preface is what docs/cli.md begins with.
const preface = `# The command line

Written by ` + "`make docs`" + ` from the program's own help. [certificate-management.md](certificate-management.md) says when to use which
command.
`

func main() {
	man := flag.String("man", "", "write man pages to this folder, instead of docs/cli.md")
	flag.Parse()
	if err := run(*man); err != nil {
		fmt.Fprintln(os.Stderr, "docs: error:", err)
		os.Exit(1)
	}
}

func run(man string) error {
	if man != "" {
		return manPages(man)
	}
	text, err := reference()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("docs", "cli.md"), text, 0o644)
}

// commands is the tree of commands, with those that cobra adds when it runs.
func commands() *cobra.Command {
	root := command.New("")
	root.InitDefaultCompletionCmd("bash")
	return root
}

// reference is the text of docs/cli.md.
func reference() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(preface)
	root := commands()
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		if !c.IsAvailableCommand() && c != root {
			continue
		}
		var page bytes.Buffer
		if err := doc.GenMarkdown(c, &page); err != nil {
			return nil, fmt.Errorf("describing %s: %w", c.CommandPath(), err)
		}
		// What else there is to see is on the same page.
		text, _, _ := strings.Cut(page.String(), "\n### SEE ALSO\n")
		text, options, _ := strings.Cut(text, "\n### Options\n")
		text, _, _ = strings.Cut(text, "\n### Examples\n")
		b.WriteString("\n" + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n```\n"+c.UseLine(), "\n```text\n"+c.UseLine()) + "\n")
		writeExamples(&b, c.Example)
		b.WriteString("\n### Options\n" + strings.Replace(strings.TrimRight(options, "\n"), "```\n", "```text\n", 1) + "\n")
	}
	return b.Bytes(), nil
}

// writeExamples writes the examples of a command's help, each paragraph a block that test/manual runs.
func writeExamples(b *bytes.Buffer, examples string) {
	if examples == "" {
		return
	}
	b.WriteString("\n### Examples\n")
	for example := range strings.SplitSeq(examples, "\n\n") {
		b.WriteString("\n```sh\n")
		for line := range strings.Lines(example) {
			b.WriteString(strings.TrimPrefix(line, "  "))
		}
		b.WriteString("\n```\n")
	}
}

// manPages writes a man page for each command, those of each shell's completion too.
func manPages(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	// cobra dates the pages by SOURCE_DATE_EPOCH where it is set, else by today.
	header := &doc.GenManHeader{Section: "1", Manual: "kthena-certgen", Source: "kthena-certgen"}
	if err := doc.GenManTree(commands(), header, dir); err != nil {
		return fmt.Errorf("writing man pages: %w", err)
	}
	return nil
}
