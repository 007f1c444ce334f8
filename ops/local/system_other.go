//go:build !unix

package local

import (
	"errors"
	"os"
	"syscall"
)

// attributes are none where there are no process groups.
func attributes() *syscall.SysProcAttr { return nil }

var errNoSignals = errors.New("this system cannot pause a process")

// terminate ends a process by force: there is no asking.
func terminate(p *os.Process) error { return p.Kill() }
func suspend(*os.Process) error     { return errNoSignals }
func resume(*os.Process) error      { return nil }
