//go:build unix

package datadir

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockHandle takes a lock that ends with the process, however it ends.
func lockHandle(f *os.File, alone bool) error {
	how := unix.LOCK_SH
	if alone {
		how = unix.LOCK_EX
	}
	return unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
}
