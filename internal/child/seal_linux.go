package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Seal keeps commands from reading the variables that this process was started with, tokens among them: they
// stand in /proc/<pid>/environ for everybody of the same user, whatever environment a command is given. It
// overwrites them where the kernel put them at the start, all of them, and looks that they are gone; then it
// makes the process undumpable, so that one of the same user, unless privileged (CAP_SYS_PTRACE), can neither
// trace it nor read its memory.
//
// The process itself notices nothing: Go took its own copy before main began, which os.Getenv and the AWS SDK go
// on using. C code would see empty variables. Seal is to be called once, first thing in main, before any other
// goroutine; it may be called again. After an error no command should be run that isn't trusted with them.
func Seal() error {
	start, end, err := environment()
	if err != nil {
		return fmt.Errorf("find the variables in the process's memory: %w", err)
	}
	if err := overwrite(start, end); errors.Is(err, os.ErrPermission) && undumpable() {
		return nil // sealed before; or never readable, not even for itself
	} else if err != nil {
		return fmt.Errorf("take the variables out of the process's memory: %w", err)
	}
	left, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		return fmt.Errorf("see that the variables are out of the process's memory: %w", err)
	}
	if len(bytes.Trim(left, "\x00")) > 0 {
		return errors.New("take the variables out of the process's memory: they are still in /proc/self/environ")
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0); errno != 0 {
		return fmt.Errorf("make the process undumpable: %w", errno)
	}
	return nil
}

const prGetDumpable, prSetDumpable = 3, 4

func undumpable() bool {
	is, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetDumpable, 0, 0)
	return errno == 0 && is == 0
}

// overwrite goes through /proc/self/mem rather than a pointer: no Go value lies there.
func overwrite(start, end int64) error {
	mem, err := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = mem.WriteAt(make([]byte, end-start), start)
	return errors.Join(err, mem.Close())
}

// environment is where the kernel put the variables: fields env_start and env_end, 50 and 51, of
// /proc/<pid>/stat, see proc(5).
func environment() (start, end int64, err error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, 0, err
	}
	// The second field, the program's name, may hold anything, also spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 49 {
		return 0, 0, errors.New("/proc/self/stat is shorter than since Linux 3.5")
	}
	start, err = strconv.ParseInt(string(fields[47]), 10, 64)
	if err == nil {
		end, err = strconv.ParseInt(string(fields[48]), 10, 64)
	}
	if err == nil && (start == 0 || end < start) {
		err = errors.New("/proc/self/stat doesn't tell where")
	}
	return start, end, err
}
