package child

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"
)

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// Numbers of Linux that package syscall lacks: the same on every architecture.
const (
	sysCloseRange     = 436
	closeRangeCloexec = 4
	idPID             = 1
	wNoWait           = 0x01000000
	rlimitCore        = 4
)

// closeOnExec marks every descriptor but the standard ones. Go does so with those it opens; others may have been
// handed to this process by the one that started it.
func closeOnExec() {
	if _, _, errno := syscall.RawSyscall(sysCloseRange, 3, uintptr(^uint32(0)), closeRangeCloexec); errno == 0 {
		return
	}
	entries, err := os.ReadDir("/proc/self/fd") // before Linux 5.11
	if err != nil {
		return
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// limit forbids core dumps: they hold what the command held.
func limit(pid int) {
	none := syscall.Rlimit{}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), rlimitCore, uintptr(unsafe.Pointer(&none)), 0, 0, 0)
}

// awaitEnd returns once the process has ended, and leaves it to be waited for.
func awaitEnd(cmd *exec.Cmd) {
	var info [128]byte // siginfo_t
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idPID, uintptr(cmd.Process.Pid), uintptr(unsafe.Pointer(&info)),
			syscall.WEXITED|wNoWait, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
