package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary be the program itself, so that tests can start it as a process.
const asProgram = "STANDIN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command is the program as a process under the name of one of the two.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Args[0] = "/" + name
	cmd.Env = []string{asProgram + "=1", "STANDIN_LISTEN_HOST=127.0.0.1"}
	return cmd
}

func TestProcess(t *testing.T) {
	t.Run("listens where it is told, says so, and ends well on SIGTERM", func(t *testing.T) {
		files := newFiles(t)
		ports := filepath.Join(t.TempDir(), "ports.json")
		cmd := command(t, router, "--webhook-tls-cert-file="+files.cert, "--webhook-tls-private-key-file="+files.key)
		cmd.Env = append(cmd.Env, "STANDIN_PORTS_FILE="+ports)
		stderr, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())

		lines := bufio.NewScanner(stderr)
		serving := map[string]string{}
		for range 2 {
			require.True(t, lines.Scan(), "two lines are logged, one for each server")
			line := logLine(t, lines.Bytes())
			assert.Equal(t, "serving", line.Message)
			serving[line.Server] = line.Address
		}
		text, err := os.ReadFile(ports)
		require.NoError(t, err)
		var written map[string]string
		require.NoError(t, json.Unmarshal(text, &written))
		assert.Equal(t, map[string]string{"8080": serving["router"], "8443": serving["webhook"]}, written)
		for own, address := range written {
			assert.NotContains(t, address, ":"+own, "the port is a free one")
		}
		assert.Equal(t, "ok\n", files.get(t, "https://"+written["8443"]+"/healthz"))
		assert.Equal(t, "ok\n", files.get(t, "http://"+written["8080"]+"/readyz"))

		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		stopped := map[string]bool{}
		for lines.Scan() {
			line := logLine(t, lines.Bytes())
			assert.Equal(t, "stopped", line.Message)
			stopped[line.Server] = true
		}
		assert.Equal(t, map[string]bool{"router": true, "webhook": true}, stopped)
		assert.NoError(t, cmd.Wait())
	})

	t.Run("runs without any server until SIGTERM, and ends well", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var stderr bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			code := make(chan int, 1)
			go func() { code <- run(ctx, []string{controllerManager, "--enable-webhook=false"}, &stderr) }()
			synctest.Wait()
			require.Empty(t, code)
			cancel()
			assert.Equal(t, exitDone, <-code)
			assert.Empty(t, stderr.String())
		})
	})

	t.Run("ends well on SIGTERM while it waits for its files", func(t *testing.T) {
		var stderr bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		missing := filepath.Join(t.TempDir(), "tls.crt")
		assert.Equal(t, exitDone, run(ctx, []string{controllerManager, "--tls-cert-file=" + missing}, &stderr))
		assert.Empty(t, stderr.String())
	})

	t.Run("fails with one line when its files are missing for 30 s", func(t *testing.T) {
		missing := filepath.Join(t.TempDir(), "tls.crt")
		synctest.Test(t, func(t *testing.T) {
			var stderr bytes.Buffer
			began := time.Now()
			assert.Equal(t, exitFailed, run(t.Context(), []string{router, "--webhook-tls-cert-file=" + missing}, &stderr))
			assert.Equal(t, "kthena-router: error: waiting 30s for the webhook server's TLS files: stat "+missing+
				": no such file or directory\n", stderr.String())
			assert.InDelta(t, 30, time.Since(began).Seconds(), 1)
		})
	})

	t.Run("fails with one line when its files are no certificate", func(t *testing.T) {
		var stderr bytes.Buffer
		file := filepath.Join(t.TempDir(), "tls.crt")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		code := run(t.Context(), []string{controllerManager, "--tls-cert-file=" + file, "--tls-private-key-file=" + file}, &stderr)
		assert.Equal(t, exitFailed, code)
		assert.Equal(t, "kthena-controller-manager: error: loading the webhook server's TLS files: "+
			"tls: failed to find any PEM data in certificate input\n", stderr.String())
	})

	t.Run("refuses wrong usage with one line", func(t *testing.T) {
		var stderr bytes.Buffer
		assert.Equal(t, exitUsage, run(t.Context(), []string{router, "--nonsense"}, &stderr))
		assert.Equal(t, "kthena-router: error: unknown flag: --nonsense\n", stderr.String())
	})

	t.Run("prints its flags when asked for help", func(t *testing.T) {
		var stderr bytes.Buffer
		assert.Equal(t, exitDone, run(t.Context(), []string{router, "--help"}, &stderr))
		assert.Contains(t, stderr.String(), "Usage of kthena-router:")
	})

	t.Run("fails when a port is taken", func(t *testing.T) {
		taken := listen(t)
		_, port, err := net.SplitHostPort(taken.Addr().String())
		require.NoError(t, err)
		t.Setenv("STANDIN_LISTEN_HOST", "127.0.0.1")
		var stderr bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), []string{router, "--enable-webhook=false", "--port=" + port}, &stderr))
		assert.Equal(t, "kthena-router: error: opening the router server's port: listen tcp "+taken.Addr().String()+
			": bind: address already in use\n", stderr.String())
	})
}

// line is what a test wants of a line of the log.
type line struct {
	Message string `json:"msg"`
	Server  string `json:"server"`
	Address string `json:"address"`
}

func logLine(t *testing.T, text []byte) line {
	t.Helper()
	var l line
	require.NoError(t, json.Unmarshal(text, &l), string(text))
	return l
}

// get returns the body of a response with status 200.
func (f files) get(t *testing.T, url string) string {
	t.Helper()
	response, err := f.client().Get(url)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode, string(body))
	return string(body)
}
