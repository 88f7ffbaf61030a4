package localcluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"k8s.io/client-go/rest"
)

// Program is a program that works on the cluster until it stops.
type Program struct {
	// Name is that of its log.
	Name string
	Path string
	// Args are its arguments.
	Args []string
	// Env is set besides the environment of this process. KUBECONFIG, which leads to the cluster, is set in any case.
	Env []string
	// Dir is the working directory, and that of this process if it is empty.
	Dir string
}

// StartProgram starts a program that may do everything, as a user of its own of the program's name.
func (c *Cluster) StartProgram(p Program) error {
	config, err := c.userConfig(p.Name, "system:masters")
	if err != nil {
		return err
	}
	return c.startProgram(p, config)
}

// startProgram starts a program as the user that config is for.
func (c *Cluster) startProgram(p Program, config *rest.Config) error {
	if err := writeKubeconfig(c.programKubeconfig(p.Name), config); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", p.Name, err)
	}
	log, err := c.createLog(p.Name)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, p.Dir
	cmd.Env = slices.Concat(os.Environ(), p.Env, []string{"KUBECONFIG=" + c.programKubeconfig(p.Name)})
	if err := c.reaper.start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	c.atStop(func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return fmt.Errorf("stopping %s: %w", p.Name, err)
		}
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("waiting for the end of %s: %w", p.Name, err)
		}
		return c.reaper.forget(cmd.Process.Pid)
	})
	return nil
}

// programKubeconfig is the path of the kubeconfig file of a program.
func (c *Cluster) programKubeconfig(name string) string {
	return filepath.Join(c.Dir, name+".kubeconfig")
}
