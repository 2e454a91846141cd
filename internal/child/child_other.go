//go:build unix && !linux

package child

import (
	"os/exec"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func closeOnExec() {}

func limit(int) {}

// awaitEnd returns once the process has ended and was waited for.
func awaitEnd(cmd *exec.Cmd) { _ = cmd.Wait() }
