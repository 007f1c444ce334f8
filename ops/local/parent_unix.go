//go:build unix && !linux

package local

import "syscall"

// dieWithParent does nothing where the system cannot do it.
func dieWithParent(*syscall.SysProcAttr) {}
