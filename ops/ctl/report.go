package ctl

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Text is the summary, for people.
func (r SeedReport) Text(o SeedOptions) string {
	var text strings.Builder
	fmt.Fprintf(&text, "workspace %s\n", o.Workspace)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&text, "  %-10s %s\n", name, value)
		}
	}
	row("people", fmt.Sprintf("%s in %s channels, %s memberships, %s", Grouped(r.Users), Grouped(r.Channels), Grouped(r.Joins), took(r.Users, r.Importing)))
	switch {
	case r.Messages > 0:
		row("messages", fmt.Sprintf("%s new, %s of them replies, %s", Grouped(r.Messages), Grouped(r.Replies), took(r.Messages+r.Edits+r.Reactions, r.Posting)))
		row("changes", fmt.Sprintf("%s edits, %s reactions", Grouped(r.Edits), Grouped(r.Reactions)))
	case o.Messages > 0:
		row("messages", "none new")
	}
	if r.Found > 0 {
		row("found", Grouped(r.Found)+" messages of an earlier run")
	}
	row("tokens", o.Tokens)
	return text.String()
}

// took is a time and how much of something was done in each second of it.
func took(n int, d time.Duration) string {
	text := fmt.Sprintf("%.1f s", d.Seconds())
	if d >= 10*time.Millisecond {
		text += fmt.Sprintf(" (%s a second)", Grouped(int(float64(n)/d.Seconds())))
	}
	return text
}

// Grouped writes a number of things for a person: 12,345.
func Grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
