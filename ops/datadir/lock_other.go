//go:build !unix

package datadir

import "os"

// lockHandle does nothing where files cannot be locked: there the ports of the servers keep a second process out.
func lockHandle(*os.File, bool) error { return nil }
