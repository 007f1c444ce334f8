package workbench

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Session is what the commands have from the process they run in: ops/cli hands it over.
type Session struct {
	Context        context.Context // ends with the first signal
	Stdout, Stderr io.Writer
	Program        string              // as the person types it
	Quote          func(string) string // makes a word for the shell
}

// steps shows each step and when it was taken.
func (s *Session) steps() func(string) {
	began := time.Now()
	return func(text string) { fmt.Fprintf(s.Stderr, "canopy: %5.1f s  %s\n", time.Since(began).Seconds(), text) }
}

func row(to *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(to, "  %-10s %s\n", name, value)
	}
}
