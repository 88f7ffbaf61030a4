// Package reader does in tests what a reader of the manual does: it runs the commands of a page, one block after the other, with
// the real kubectl and helm and with kthena-certgen at hand, against a cluster of the tests.
package reader

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
	"github.com/volcano-sh/kthena-certgen/test/rig/markdown"
)

// blockTimeout is how long the commands of one block may take.
const blockTimeout = 2 * time.Minute

// Reader runs commands in a folder of its own that has the repository's charts and docs. Its home has the kubeconfig of the cluster.
type Reader struct {
	// Dir is the folder.
	Dir  string
	root string
	env  []string
}

// New makes a reader with an empty folder. The programs must have been built (make build).
func New(t *testing.T, env *charttest.Environment) *Reader {
	t.Helper()
	clients, err := controlplane.Find(controlplane.Clients)
	require.NoError(t, err)
	dir, home := t.TempDir(), t.TempDir()
	for _, name := range []string{"charts", "docs"} {
		require.NoError(t, os.Symlink(filepath.Join(env.Root, name), filepath.Join(dir, name)))
	}
	require.NoError(t, os.Mkdir(filepath.Join(home, ".kube"), 0o700))
	require.NoError(t, os.Symlink(env.Kubeconfig, filepath.Join(home, ".kube", "config")))
	path := strings.Join([]string{clients, filepath.Dir(env.Program("kthena-certgen")), os.Getenv("PATH")}, string(os.PathListSeparator))
	return &Reader{Dir: dir, root: env.Root, env: []string{"PATH=" + path, "HOME=" + home}}
}

// Prefer makes the programs of a folder come before those of the same names.
func (r *Reader) Prefer(dir string) {
	for n, variable := range r.env {
		if path, ok := strings.CutPrefix(variable, "PATH="); ok {
			r.env[n] = "PATH=" + dir + string(os.PathListSeparator) + path
		}
	}
}

// Write writes a file of the reader's own.
func (r *Reader) Write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(r.Dir, name), []byte(content), 0o600))
}

// Run runs a script, which must end well, and returns what it has printed.
func (r *Reader) Run(t *testing.T, script string) string {
	t.Helper()
	begun := time.Now()
	output, err := r.run(t.Context(), r.Dir, "-euc", script)
	require.NoError(t, err, "%s\n%s", script, output)
	t.Logf("%s: %s\n%s", time.Since(begun).Round(time.Millisecond), strings.TrimSpace(script), output)
	return output
}

// Check checks the syntax of a script that cannot be run here, and of one for make that its targets exist.
func (r *Reader) Check(t *testing.T, script string) {
	t.Helper()
	output, err := r.run(t.Context(), r.Dir, "-nc", script)
	require.NoError(t, err, "%s\n%s", script, output)
	if strings.HasPrefix(script, "make ") {
		output, err := r.run(t.Context(), r.root, "-euc", "export MAKEFLAGS=n\n"+script)
		require.NoError(t, err, "%s\n%s", script, output)
	}
}

func (r *Reader) run(ctx context.Context, dir, options, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, blockTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", options, script)
	cmd.Dir, cmd.Env = dir, r.env
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// Page reads a page by its path from the root of the repository.
func (r *Reader) Page(t *testing.T, path string) markdown.Page {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(r.root, path))
	require.NoError(t, err)
	return markdown.Parse(path, content)
}

// Follow runs the commands of a page, or of the section of that anchor if it is not empty, and compares what they print with what
// the page shows. Before each block it calls before. Blocks that need what the tests lack are checked.
func (r *Reader) Follow(t *testing.T, page markdown.Page, section string, before func(markdown.Block)) {
	t.Helper()
	ran := 0
	for i, block := range page.Blocks {
		if block.Language != "sh" || section != "" && block.Section != section {
			continue
		}
		ran++
		if need := block.Needs(); need != "" {
			r.Check(t, block.Text)
			t.Logf("%s is not run: it needs %s", page.Position(block.Part), need)
			continue
		}
		require.Empty(t, block.Mark, "%s: the mark is unknown", page.Position(block.Part))
		before(block)
		output := r.Run(t, block.Text)
		if i+1 < len(page.Blocks) && page.Blocks[i+1].Mark == "output" {
			requireOutput(t, page.Blocks[i+1].Text, output)
		}
	}
	require.Positive(t, ran, "%s has no commands in section %q", page.Path, section)
}

var date = regexp.MustCompile(`\d{4}-\d{2}-\d{2}`)

// requireOutput requires that the lines that the manual shows are those of the output, in their order and maybe with others
// between. Blanks stand for any number of them, a date for any, and three dots for whatever else differs from one time to another.
func requireOutput(t *testing.T, shown, output string) {
	t.Helper()
	rest := strings.Split(output, "\n")
	for line := range strings.Lines(shown) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		for i, word := range words {
			word = date.ReplaceAllLiteralString(regexp.QuoteMeta(word), date.String())
			words[i] = strings.ReplaceAll(word, `\.\.\.`, `.*`)
		}
		pattern := regexp.MustCompile(`^\s*` + strings.Join(words, `\s+`) + `\s*$`)
		i := slices.IndexFunc(rest, pattern.MatchString)
		require.GreaterOrEqual(t, i, 0, "the output lacks, or has earlier, the line %q:\n%s", line, output)
		rest = rest[i+1:]
	}
}
