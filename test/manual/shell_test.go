package manual

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/controlplane"
)

// blockTimeout is how long the commands of one block may take.
const blockTimeout = 2 * time.Minute

// shell runs commands as a reader of the manual does: in a folder that has the repository's charts and docs, with helm, kubectl
// and kthena-certgen at hand and the local cluster as the one they talk to.
type shell struct {
	dir string
	env []string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	clients, err := controlplane.Find(controlplane.Clients)
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"charts", "docs"} {
		require.NoError(t, os.Symlink(filepath.Join(env.Root, name), filepath.Join(dir, name)))
	}
	writeOwnCA(t, filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	path := strings.Join([]string{clients, filepath.Dir(env.Program("kthena-certgen")), os.Getenv("PATH")}, string(os.PathListSeparator))
	return &shell{dir: dir, env: []string{"PATH=" + path, "HOME=" + t.TempDir(), "KUBECONFIG=" + env.Kubeconfig}}
}

// run runs a script, which must end well, and returns what it has printed.
func (s *shell) run(t *testing.T, script string) string {
	t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), blockTimeout)
	defer cancel()
	output, err := s.command(ctx, "-euc", script).CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, output)
	t.Logf("%s: %s\n%s", time.Since(begun).Round(time.Millisecond), strings.TrimSpace(script), output)
	return string(output)
}

// check checks the syntax of a script.
func (s *shell) check(t *testing.T, script string) {
	t.Helper()
	output, err := s.command(t.Context(), "-nc", script).CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, output)
}

func (s *shell) command(ctx context.Context, options, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", options, script)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}
