package localcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// portsPoll is how often the file is looked for in which a process writes its ports.
const portsPoll = 20 * time.Millisecond

// minimalPath is all that a process gets of this machine's environment.
const minimalPath = "PATH=/usr/local/bin:/usr/bin:/bin"

// process is one run of a container.
type process struct {
	cmd       *exec.Cmd
	startedAt metav1.Time
	ports     map[int32]string // where it was told to listen, by its arguments; see container.ports
	alive     context.Context  // ends when it has; what follows is set then
	exitCode  int32
}

// startProcess starts the container's program. An error says what is missing for it.
func (c *container) startProcess(ctx context.Context) (*process, error) {
	k := c.pod.kubelet
	if err := os.MkdirAll(c.dir(), 0o700); err != nil {
		return nil, fmt.Errorf("creating the container's folder: %w", err)
	}
	program, err := k.options.Images.program(k.cluster.imageDir(), c.spec.Image)
	if err != nil {
		return nil, err
	}
	env, err := c.environment()
	if err != nil {
		return nil, err
	}
	paths := c.paths()
	p := &process{cmd: exec.Command(program), ports: map[int32]string{}}
	for _, arg := range c.spec.Args {
		if arg, err = p.bind(paths.translate(env.expand(arg))); err != nil {
			return nil, err
		}
		p.cmd.Args = append(p.cmd.Args, arg)
	}
	p.cmd.Env = []string{minimalPath}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+paths.translate(value))
	}
	kubeconfig, err := c.writeKubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	if kubeconfig != "" {
		p.cmd.Env = append(p.cmd.Env, "KUBECONFIG="+kubeconfig)
	}
	if !c.init {
		if err := os.Remove(c.portsFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing the ports of the process before: %w", err)
		}
		p.cmd.Env = append(p.cmd.Env, "STANDIN_LISTEN_HOST=127.0.0.1", "STANDIN_PORTS_FILE="+c.portsFile())
	}
	return p, k.start(p, c.logFile())
}

// start starts a process, whose output goes to the end of a file.
func (k *Kubelet) start(p *process, logFile string) error {
	output, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("creating the log: %w", err)
	}
	defer output.Close()
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.Dir = filepath.Dir(logFile)
	if err := k.cluster.reaper.start(p.cmd); err != nil {
		return fmt.Errorf("starting the process: %w", err)
	}
	p.startedAt = metav1.Now()
	alive, end := context.WithCancel(context.Background())
	p.alive = alive
	k.running.Go(func() {
		k.waitFor(p)
		end()
	})
	return nil
}

// waitFor waits for the end of a process.
func (k *Kubelet) waitFor(p *process) {
	pid := p.cmd.Process.Pid
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState == nil {
		k.cluster.log.Error("waiting for a process", "pid", pid, "error", err)
	}
	// What it has started ends with it, as in a container.
	p.kill()
	if err := k.cluster.reaper.forget(pid); err != nil {
		k.cluster.log.Error("forgetting a process", "pid", pid, "error", err)
	}
	p.exitCode = int32(p.cmd.ProcessState.ExitCode())
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.exitCode = 128 + int32(status.Signal())
	}
}

// terminate asks the process to end.
func (p *process) terminate() { p.send(p.cmd.Process.Pid, syscall.SIGTERM) }

// kill ends the process and all that it has started.
func (p *process) kill() { p.send(-p.cmd.Process.Pid, syscall.SIGKILL) }

// send sends a signal. The one thing that can go wrong is that the process has ended, which is what the signal is for.
func (p *process) send(pid int, signal syscall.Signal) {
	if p.alive.Err() == nil {
		_ = syscall.Kill(pid, signal)
	}
}

// listens matches an argument that is an address with a port of every interface.
var listens = regexp.MustCompile(`^(--[a-z-]+-address=):(\d+)$`)

// bind leads the port that a program is told to listen on, by an argument such as --metrics-bind-address=:8080, to a free one of
// this machine: all pods share it. It returns the argument that says so.
func (p *process) bind(arg string) (string, error) {
	match := listens.FindStringSubmatch(arg)
	if match == nil {
		return arg, nil
	}
	port, err := strconv.ParseUint(match[2], 10, 16)
	if err != nil {
		return "", fmt.Errorf("reading the port of argument %s: %w", arg, err)
	}
	// The port is free a moment later, too, unless somebody takes just this one: the kernel hands them out in turn.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	address := listener.Addr().String()
	p.ports[int32(port)] = address
	return match[1] + address, listener.Close()
}

func (c *container) portsFile() string { return filepath.Join(c.dir(), "ports.json") }

// ports returns where the ports of a process are served, by their numbers in the pod, as soon as that is known. Some programs are
// told by their arguments; others listen on any port and write a file that says on which. It returns none when the process ends.
func (c *container) ports(p *process) (map[int32]string, error) {
	for len(p.ports) == 0 {
		content, err := os.ReadFile(c.portsFile())
		switch {
		case err == nil:
			var ports map[int32]string
			err := json.Unmarshal(content, &ports)
			return ports, err
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case !sleep(p.alive, portsPoll):
			return nil, nil
		}
	}
	return p.ports, nil
}
