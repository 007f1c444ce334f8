//go:build !linux

package main

import (
	"fmt"
	"os"
)

// The bare loop is written for epoll, and the figures come from /proc.
func main() {
	fmt.Fprintln(os.Stderr, "bench: it measures on Linux only")
	os.Exit(1)
}
