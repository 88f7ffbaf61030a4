package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// fileOperations are the system calls that change files, by number.
var fileOperations = map[uint64]string{
	syscall.SYS_OPENAT: "create a file", syscall.SYS_WRITE: "write", syscall.SYS_FSYNC: "fsync", syscall.SYS_FCHMOD: "chmod",
	syscall.SYS_FCHMODAT: "chmod a folder", syscall.SYS_MKDIRAT: "mkdir", syscall.SYS_SYMLINKAT: "symlink", syscall.SYS_RENAMEAT: "rename",
	syscall.SYS_UNLINKAT: "unlink",
}

// runAndKill runs the program under ptrace and kills it just before its n-th file operation, counted from 1, takes place
// in dir. It returns the operations that have been begun; the program has ended by itself when they are fewer than n.
func runAndKill(t *testing.T, args []string, dir string, n int) (begun []string) {
	t.Helper()
	// The thread that starts the program is the one that may trace it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{}
	// A process group of its own lets us wait for its threads and nothing else.
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
	require.NoError(t, cmd.Start())
	group := cmd.Process.Pid
	defer func() { _ = cmd.Process.Release() }()

	var status syscall.WaitStatus
	_, err := syscall.Wait4(group, &status, syscall.WALL, nil)
	require.NoError(t, err)
	const exitKill = 0x100000 // PTRACE_O_EXITKILL
	require.NoError(t, syscall.PtraceSetOptions(group, syscall.PTRACE_O_TRACESYSGOOD|syscall.PTRACE_O_TRACECLONE|exitKill))
	require.NoError(t, syscall.PtraceSyscall(group, 0))
	for {
		thread, err := syscall.Wait4(-group, &status, syscall.WALL, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.ECHILD) {
			return begun // every thread has ended
		}
		require.NoError(t, err)
		if !status.Stopped() {
			continue
		}
		signal := status.StopSignal()
		switch signal {
		case syscall.SIGTRAP | 0x80:
			if name := fileOperation(t, group, thread, dir); name != "" && len(begun) < n {
				if begun = append(begun, name); len(begun) == n {
					require.NoError(t, syscall.Kill(group, syscall.SIGKILL))
					continue
				}
			}
			signal = 0
		case syscall.SIGTRAP, syscall.SIGSTOP: // a thread has been started, or starts
			signal = 0
		}
		if err := syscall.PtraceSyscall(thread, int(signal)); !errors.Is(err, syscall.ESRCH) {
			require.NoError(t, err)
		}
	}
}

// fileOperation names the file operation in dir that a stopped thread is about to do, a sync with its path, or returns "".
func fileOperation(t *testing.T, pid, thread int, dir string) string {
	t.Helper()
	// struct ptrace_syscall_info of ptrace(2), at the entry of a system call.
	var info struct {
		op     uint8
		_      [3]uint8
		_      uint32
		_      [2]uint64
		number uint64
		args   [6]uint64
	}
	const getSyscallInfo, entry = 0x420e, 1
	_, _, errno := syscall.Syscall6(
		syscall.SYS_PTRACE, getSyscallInfo, uintptr(thread), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0,
	)
	if errno == syscall.ESRCH {
		return "" // killed
	}
	require.Zero(t, errno, "ptrace: %v", errno)
	name := fileOperations[info.number]
	switch {
	case info.op != entry || name == "":
		return ""
	case info.number == syscall.SYS_OPENAT && info.args[2]&syscall.O_CREAT == 0:
		return ""
	case info.number == syscall.SYS_FSYNC:
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, info.args[0]))
		require.NoError(t, err)
		return name + " " + path
	case info.number == syscall.SYS_WRITE:
		if path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, info.args[0])); err != nil || !strings.HasPrefix(path, dir) {
			return ""
		}
	}
	return name
}
