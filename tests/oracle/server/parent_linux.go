package server

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the process when we end, however we end.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
