// Command canopy runs Canopy, one role or all of them, and works on a deployment that runs; see canopy --help.
package main

import (
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones of people, also on machines that know none

	"github.com/canopychat/canopy/ops/cli"
)

func main() {
	signals := make(chan os.Signal, 2) // room for the second one, which must not be lost
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(cli.Main(os.Args[1:], cli.System{
		Program: os.Args[0], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Signals: signals, Exit: os.Exit,
	}))
}
