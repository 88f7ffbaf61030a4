package localcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// portsPoll is how often the file is looked for in which a process writes its ports.
const portsPoll = 20 * time.Millisecond

// path is all that a process gets of this machine's environment.
const minimalPath = "PATH=/usr/local/bin:/usr/bin:/bin"

// process is one run of a container.
type process struct {
	cmd       *exec.Cmd
	startedAt metav1.Time
	ended     chan struct{} // closed when it has; what follows is set then
	exitCode  int32
	signal    int32
}

// startProcess starts the container's program. A blockedError, or any other, says what is missing for it.
func (c *container) startProcess(ctx context.Context, attempt int) (*process, error) {
	if err := c.makeDir(); err != nil {
		return nil, fmt.Errorf("creating the container's folder: %w", err)
	}
	k := c.pod.kubelet
	program, err := k.options.Images.program(k.cluster.imageDir(), c.spec.Image, c.spec.Command)
	if err != nil {
		return nil, err
	}
	env, err := c.environment()
	if err != nil {
		return nil, blockedError{reason: "CreateContainerConfigError", message: err.Error()}
	}
	paths := c.paths()
	ports := newBinding()
	cmd := exec.Command(program)
	// A command names the image's one program; what follows is arguments like the others.
	for i, arg := range append(c.spec.Command[:len(c.spec.Command):len(c.spec.Command)], c.spec.Args...) {
		if i > 0 || len(c.spec.Command) == 0 {
			if arg, err = ports.translate(paths.translate(env.expand(arg))); err != nil {
				return nil, err
			}
			cmd.Args = append(cmd.Args, arg)
		}
	}
	cmd.Env = append([]string{minimalPath}, env.list(paths)...)
	kubeconfig, err := c.writeKubeconfig(ctx)
	if err != nil {
		return nil, blockedError{reason: "CreateContainerConfigError", message: err.Error()}
	}
	if kubeconfig != "" {
		cmd.Env = append(cmd.Env, "KUBECONFIG="+kubeconfig)
	}
	if !c.init {
		if err := os.Remove(c.portsFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing the ports of the process before: %w", err)
		}
		cmd.Env = append(cmd.Env, "STANDIN_LISTEN_HOST=127.0.0.1", "STANDIN_PORTS_FILE="+c.portsFile())
		if err := ports.write(c.portsFile()); err != nil {
			return nil, err
		}
	}
	return k.startProcess(cmd, c.logFile(attempt))
}

// startProcess starts cmd with its output going to a new file.
func (k *Kubelet) startProcess(cmd *exec.Cmd, logFile string) (*process, error) {
	output, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the log: %w", err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Dir = filepath.Dir(logFile)
	if err := k.cluster.reaper.start(cmd); err != nil {
		return nil, fmt.Errorf("starting the process: %w", err)
	}
	p := &process{cmd: cmd, startedAt: metav1.Now(), ended: make(chan struct{})}
	k.running.Go(func() { k.waitForProcess(p) })
	return p, nil
}

func (k *Kubelet) waitForProcess(p *process) {
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState == nil {
		k.log.Error("waiting for a process", "pid", p.cmd.Process.Pid, "error", err)
	}
	// What it has started ends with it, as in a container.
	p.kill()
	if err := k.cluster.reaper.forget(p.cmd.Process.Pid); err != nil {
		k.log.Error("forgetting a process", "pid", p.cmd.Process.Pid, "error", err)
	}
	p.exitCode = int32(p.cmd.ProcessState.ExitCode())
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.signal = int32(status.Signal())
		p.exitCode = 128 + p.signal
	}
	close(p.ended)
}

// terminate asks the process to end.
func (p *process) terminate() { p.send(p.cmd.Process.Pid, syscall.SIGTERM) }

// kill ends the process and all that it has started.
func (p *process) kill() { p.send(-p.cmd.Process.Pid, syscall.SIGKILL) }

// send sends a signal. The one thing that can go wrong is that the process has ended, which is what the signal is for.
func (p *process) send(pid int, signal syscall.Signal) { _ = syscall.Kill(pid, signal) }

func (c *container) portsFile() string { return filepath.Join(c.dir(), "ports.json") }

// awaitPorts makes the ports of a process reachable as soon as it listens. It returns early when ctx ends.
func (c *container) awaitPorts(ctx context.Context) {
	for {
		ports, err := readPorts(c.portsFile())
		if err == nil {
			c.pod.attach(c, ports)
			return
		}
		if !errors.Is(err, fs.ErrNotExist) {
			c.pod.logError("reading the ports of container "+c.spec.Name, err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(portsPoll):
		}
	}
}

func readPorts(path string) (map[int32]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var byName map[string]string
	if err := json.Unmarshal(content, &byName); err != nil {
		return nil, fmt.Errorf("parsing %s: %w", path, err)
	}
	ports := map[int32]string{}
	for name, address := range byName {
		port, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", path, err)
		}
		ports[int32(port)] = address
	}
	return ports, nil
}
