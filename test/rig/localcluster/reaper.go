package localcluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// register is the start of every process of a cluster: the shell writes down its own process id, with the time it was started
// at, and becomes the program. A process that cannot be written down, since the cluster has gone, is not started. Done by the
// child itself because nobody else can do it at a moment that leaves no gap. Both are in the name of an empty file, which is
// there at once or not at all: the reaper cannot come between the file and its content. The file is looked for afterwards, for
// the reaper may have moved the folder, and read it, while the file was made.
const register = `
set -e
started() { shift 19; since=$1; }
read -r stat </proc/$$/stat
started ${stat##*) }
: >"$0/$$-$since"
[ -e "$0/$$-$since" ]
exec "$@"
`

// watch is the whole life of the reaper: it waits for the end of its standard input, which is the end of the process that holds
// the other end of the pipe, ends every process written down whose id has not gone to another since, with its children, and
// removes the cluster's folder. The list is moved first: from then on nobody can be added to it.
const watch = `
run=$1
while read -r line; do :; done
started() {
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	set -- ${stat##*) }
	echo "${20}"
}
mv "$run" "$run.ended"
for file in "$run.ended"/*; do
	[ -e "$file" ] || continue
	since=${file##*-}
	pid=${file##*/}
	pid=${pid%-*}
	case $(started "$pid") in
	"$since" | "") kill -s KILL -- "-$pid" ;;
	esac
done
tries=0
until rm -rf "$0" "$run.ended" || [ "$tries" -ge 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
`

// shell runs the two scripts above. It is the one program that a POSIX system has at a fixed path.
const shell = "/bin/sh"

// reaper sees to it that no process and no file of a cluster outlives the process that started it, however that ends.
type reaper struct {
	run  string // the folder with one file per process, named by the process's id and start
	pipe io.Closer
	cmd  *exec.Cmd
}

// startReaper starts the reaper of the cluster whose folder is dir.
func startReaper(dir string) (*reaper, error) {
	// Not in dir: whoever removes that folder from under the cluster must not make the reaper blind.
	run, err := os.MkdirTemp("", "localcluster-processes-")
	if err != nil {
		return nil, fmt.Errorf("creating the list of processes: %w", err)
	}
	cmd := exec.Command(shell, "-c", watch, dir, run)
	cmd.Dir = "/"
	// Not in the terminal's foreground group: Ctrl-C there must reach the reaper as the end of the pipe only.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("creating the reaper's pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the reaper: %w", err), os.Remove(run))
	}
	return &reaper{run: run, pipe: pipe, cmd: cmd}, nil
}

// start starts cmd as the head of a process group of its own that ends with the cluster. The caller waits for it and then calls
// forget. The program sees its own path as its first argument, whatever cmd.Args says, and nothing of cmd changes before.
func (r *reaper) start(cmd *exec.Cmd) error {
	if cmd.Err != nil {
		return cmd.Err
	}
	if _, err := exec.LookPath(cmd.Path); err != nil {
		return err
	}
	cmd.Args = append([]string{shell, "-c", register, r.run, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = shell
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	return cmd.Start()
}

// forget takes a process that has ended, and has been waited for, off the list.
func (r *reaper) forget(pid int) error {
	names, err := filepath.Glob(filepath.Join(r.run, strconv.Itoa(pid)+"-*"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// wrap writes a program to path that starts the program real as start does, for a caller that starts its processes by itself.
// That caller has to make each the head of a process group.
func (r *reaper) wrap(path, real string) error {
	script := fmt.Sprintf("#!%s\nexec %s -c %s %s %s \"$@\"\n", shell, shell, quote(register), quote(r.run), quote(real))
	return os.WriteFile(path, []byte(script), 0o700)
}

// stop ends what still runs, removes the cluster's folder, and returns when both is done.
func (r *reaper) stop() error {
	if err := r.pipe.Close(); err != nil {
		return fmt.Errorf("closing the reaper's pipe: %w", err)
	}
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("waiting for the reaper: %w", err)
	}
	return nil
}

// quote makes s one word of the shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
