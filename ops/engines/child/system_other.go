//go:build !linux

package child

import (
	"os"
	"syscall"
)

// Supported tells whether all of this works on this system.
const Supported = false // Start says so, and nothing below is called

type Account struct{ Name string }

func Unprivileged() (*Account, error)   { return nil, nil }
func (a *Account) Own(string) error     { return nil }
func (a *Account) Barred(string) string { return "" }
func family(int) []int                  { return nil }
func pause(int)                         {}
func resume(int)                        {}
func slay(int)                          {}
func LockFile(*os.File) (bool, error)   { return true, nil }

func attributes(*Account, syscall.Signal) *syscall.SysProcAttr { return nil }
