package localcluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endEnv makes the test binary start a cluster, say in which folder, and end in the way that it names.
const endEnv = "LOCALCLUSTER_TEST_END"

// runChild is the test binary's main function when endEnv is set.
func runChild(end string) {
	c, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	pod := exec.Command(shell, "-c", "sleep 1000 & wait", c.Dir)
	if err := c.reaper.start(pod); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.Dir)
	switch end {
	case "panics":
		panic("as the test wants it")
	case "exits":
		os.Exit(0)
	default:
		io.Copy(io.Discard, os.Stdin)
	}
}

func TestACluster(t *testing.T) {
	ends := []string{"is killed", "panics", "exits"}
	if testing.Short() {
		ends = ends[:1] // the one in which the process itself can do least
	}
	for _, end := range ends {
		t.Run("leaves nothing behind when the process that started it "+end, func(t *testing.T) {
			child := exec.Command(os.Args[0])
			temporary := temporaryFolder(t)
			child.Env = append(os.Environ(), endEnv+"="+end, "TMPDIR="+temporary)
			stdin, err := child.StdinPipe()
			require.NoError(t, err)
			defer stdin.Close()
			stdout, err := child.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())
			line, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)
			dir := strings.TrimSpace(line)
			require.Equal(t, temporary, filepath.Dir(dir))
			if end == "is killed" {
				if !assert.Eventually(t, func() bool { return len(naming(t, dir)) == 5 }, 10*time.Second, 10*time.Millisecond,
					"etcd, kube-apiserver, the controllers, the pod's process and the reaper run") {
					t.Fatalf("%q", naming(t, dir))
				}
				require.NoError(t, child.Process.Kill())
			}
			child.Wait()

			assert.Eventually(t, func() bool {
				_, err := os.Stat(dir)
				return os.IsNotExist(err)
			}, 30*time.Second, 20*time.Millisecond, "the folder is gone")
			assert.Eventually(t, func() bool { return len(naming(t, dir)) == 0 }, 30*time.Second, 20*time.Millisecond, "the processes are gone")
			left, err := os.ReadDir(temporary)
			require.NoError(t, err)
			assert.Empty(t, left, "in the folder for temporary files")
		})
	}
}

func TestTheReaper(t *testing.T) {
	start := func(t *testing.T) (*reaper, string) {
		dir := t.TempDir()
		r, err := startReaper(dir)
		require.NoError(t, err)
		return r, dir
	}

	t.Run("ends a process with its children and removes the folder", func(t *testing.T) {
		r, dir := start(t)
		cmd := exec.Command(shell, "-c", `sleep 1000 & echo $!; wait`)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, r.start(cmd))
		child, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)

		require.NoError(t, r.stop())

		assert.EqualError(t, cmd.Wait(), "signal: killed")
		assert.Eventually(t, func() bool { return !alive(strings.TrimSpace(child)) }, 10*time.Second, 10*time.Millisecond)
		assert.NoDirExists(t, dir)
	})
	t.Run("ends the children of a process that has ended", func(t *testing.T) {
		r, _ := start(t)
		cmd := exec.Command(shell, "-c", `sleep 1000 >/dev/null & echo $!`)
		var out strings.Builder
		cmd.Stdout = &out
		require.NoError(t, r.start(cmd))
		require.NoError(t, cmd.Wait())
		child := strings.TrimSpace(out.String())
		require.True(t, alive(child))

		require.NoError(t, r.stop())

		assert.Eventually(t, func() bool { return !alive(child) }, 10*time.Second, 10*time.Millisecond)
	})
	t.Run("ends a process although the folder has been removed before", func(t *testing.T) {
		r, dir := start(t)
		cmd := exec.Command("sleep", "1000")
		require.NoError(t, r.start(cmd))
		require.Eventually(t, func() bool { return len(listed(t, r)) == 1 }, 10*time.Second, time.Millisecond)
		require.NoError(t, os.RemoveAll(dir))

		require.NoError(t, r.stop())

		assert.EqualError(t, cmd.Wait(), "signal: killed")
		assert.NoDirExists(t, r.run)
	})
	t.Run("ends a process at whatever moment of its start, if it starts at all", func(t *testing.T) {
		for delay := range 100 {
			r, _ := start(t)
			cmd := exec.Command("sleep", "1000")
			require.NoError(t, r.start(cmd))
			// Without a wait nothing is written down yet; a moment later everything is.
			time.Sleep(time.Duration(delay) * 20 * time.Microsecond)

			require.NoError(t, r.stop())

			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				require.NoError(t, cmd.Process.Kill())
				t.Fatalf("the process lives on when the reaper comes %d times 20 µs after its start", delay)
			}
		}
	})
	t.Run("does not touch a process that got the number of one that has ended", func(t *testing.T) {
		r, _ := start(t)
		other := exec.Command("sleep", "1000")
		other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		require.NoError(t, other.Start())
		defer func() {
			require.NoError(t, other.Process.Kill())
			other.Wait()
		}()
		pid := strconv.Itoa(other.Process.Pid)
		require.NoError(t, os.WriteFile(filepath.Join(r.run, pid+"-1"), nil, 0o600))

		require.NoError(t, r.stop())

		assert.True(t, alive(pid))
	})
	t.Run("does not start a process that it cannot end any more", func(t *testing.T) {
		r, dir := start(t)
		require.NoError(t, r.stop())
		require.NoError(t, os.Mkdir(dir, 0o700))
		cmd := exec.Command("touch", filepath.Join(dir, "ran"))

		require.NoError(t, r.start(cmd))

		assert.EqualError(t, cmd.Wait(), "exit status 2")
		assert.NoFileExists(t, filepath.Join(dir, "ran"))
	})
	t.Run("passes arguments and the exit code on as they are", func(t *testing.T) {
		r, dir := start(t)
		path := filepath.Join(dir, "it's")
		require.NoError(t, r.wrap(path, shell))
		out, err := exec.Command(path, "-c", `printf '<%s>' "$@"; exit 7`, "x", "a b", "", "*", "$HOME").Output()
		require.EqualError(t, err, "exit status 7")
		assert.Equal(t, "<a b><><*><$HOME>", string(out))
		require.NoError(t, r.stop())
	})
	t.Run("says which program is missing", func(t *testing.T) {
		r, _ := start(t)
		missing := filepath.Join(t.TempDir(), "missing")
		assert.EqualError(t, r.start(exec.Command(missing)), "exec: \""+missing+"\": stat "+missing+": no such file or directory")
		require.NoError(t, r.stop())
	})
	t.Run("forgets a process that has ended", func(t *testing.T) {
		r, _ := start(t)
		cmd := exec.Command("true")
		require.NoError(t, r.start(cmd))
		require.NoError(t, cmd.Wait())
		require.NoError(t, r.forget(cmd.Process.Pid))
		assert.Empty(t, listed(t, r))
		require.NoError(t, r.forget(cmd.Process.Pid), "twice")
		require.NoError(t, r.stop())
	})
}

// temporaryFolder makes a folder with a path that is short enough for a socket below it.
func temporaryFolder(t *testing.T) string {
	dir, err := os.MkdirTemp("", "lc-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// listed returns the names of the processes that are written down.
func listed(t *testing.T, r *reaper) []string {
	entries, err := os.ReadDir(r.run)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// naming returns the processes whose command line has the folder in it, as that of each process of a cluster does.
func naming(t *testing.T, dir string) []string {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, path := range paths {
		// A process that has ended meanwhile has none.
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), dir) {
			found = append(found, string(text))
		}
	}
	return found
}

// alive reports whether the process runs; one that has ended and is not waited for does not.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
