// Package screen writes the lines of the terminal client, on a terminal or into a pipe. It alone knows of the sequences of
// terminals. But for a message that is on its way, what it is given is shown as it is: whoever gives it makes it plain before (ops/plain).
package screen

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/chat"
)

// The sequences of ECMA-48 that a screen uses; only on a terminal.
const (
	eraseLine = "\r\x1b[2K"
	lineUp    = "\x1b[1A"
	dim       = "\x1b[2m"
	plainly   = "\x1b[0m"
)

// Screen writes lines. On a terminal it has two more tricks: a line that the next one takes the place of, and a
// message whose line is rewritten once it is stored, if nothing was written after it.
type Screen struct {
	to       io.Writer
	terminal bool
	passing  bool             // the cursor is at the end of a passing line
	last     chat.ClientMsgID // whose sending line is the last that was written
	err      error            // the first failure to write
}

// New is a screen on a terminal that may be drawn on, or elsewhere.
func New(to io.Writer, terminal bool) *Screen { return &Screen{to: to, terminal: terminal} }

// Err is the first failure to write. Nothing is written after it.
func (s *Screen) Err() error { return s.err }

// rewritable is how many characters a line may have that is rewritten: a terminal of 80 columns shows it in one row.
const rewritable = 72

// Line writes lines that stay. An empty one is none.
func (s *Screen) Line(lines ...string) {
	for _, text := range lines {
		if text != "" {
			s.clear()
			s.last = ""
			s.write(text + "\n")
		}
	}
}

// Pass writes a line that the next one takes the place of. Elsewhere than on a terminal there is none.
func (s *Screen) Pass(text string) {
	if text == "" || !s.terminal {
		return
	}
	s.clear()
	s.write(dim + text + plainly)
	s.passing = true
}

// Typed says that the person pressed Enter: the terminal has gone on to the next line by itself.
func (s *Screen) Typed() { s.passing, s.last = false, "" }

// Sending shows a message that is on its way. On a terminal it takes the place of the line that was typed.
func (s *Screen) Sending(id chat.ClientMsgID, body string) {
	text := "sending … " + plain.Text(body)
	if !s.terminal || utf8.RuneCountInString(text) > rewritable || strings.Contains(text, "\n") {
		s.Line(text)
		return
	}
	s.clear()
	s.write(lineUp + eraseLine + dim + text + plainly + "\n")
	s.last = id
}

// Settled shows what became of a message, in its place if that is still the last line.
func (s *Screen) Settled(id chat.ClientMsgID, text string) {
	if s.terminal && s.last == id && id != "" {
		s.clear()
		s.write(lineUp + eraseLine)
	}
	s.Line(text)
}

func (s *Screen) clear() {
	if s.passing {
		s.write(eraseLine)
		s.passing = false
	}
}

func (s *Screen) write(text string) {
	if s.err != nil {
		return
	}
	if _, err := io.WriteString(s.to, text); err != nil {
		s.err = fmt.Errorf("write to the terminal: %w", err)
	}
}
