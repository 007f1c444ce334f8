package provision

import (
	"fmt"
	"io"
	"strings"
)

// Render writes a plan for a person: one line a change, the settings that differ below it.
func Render(to io.Writer, plan []Change) error {
	var text strings.Builder
	for _, c := range plan {
		c.render(&text)
	}
	if len(plan) == 0 {
		text.WriteString("the hub's streams and consumers are as the files say\n")
	}
	_, err := io.WriteString(to, text.String())
	return err
}

func (c Change) render(to *strings.Builder) {
	fmt.Fprintf(to, "%s %s\n", c.Action, c.name())
	for _, f := range c.Fields {
		from, next := f.From, f.To
		if from == "" {
			from = "(unset)"
		}
		if next == "" {
			next = "(unset)"
		}
		fmt.Fprintf(to, "    %s: %s -> %s", f.Name, from, next)
		if f.Reason != "" {
			fmt.Fprintf(to, "  (refused: %s)", f.Reason)
		}
		to.WriteByte('\n')
	}
}

func (c Change) name() string {
	if c.Consumer == "" {
		return "stream " + c.Stream
	}
	return "consumer " + c.Consumer + " of " + c.Stream
}
