//go:build !linux

package server

import "os/exec"

// endWithParent does nothing here: the server ends with its context only.
func endWithParent(*exec.Cmd) {}
