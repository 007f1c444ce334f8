package chat

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/canopychat/canopy/schemas/chat"
)

// The sequences of ECMA-48 that a screen uses; only on a terminal.
const (
	eraseLine = "\r\x1b[2K"
	lineUp    = "\x1b[1A"
	dim       = "\x1b[2m"
	plainly   = "\x1b[0m"
)

// screen writes lines. On a terminal it has two more tricks: a line that the next one takes the place of, and a
// message whose line is rewritten once it is stored, if nothing was written after it.
type screen struct {
	to       io.Writer
	terminal bool
	passing  bool             // the cursor is at the end of a passing line
	last     chat.ClientMsgID // whose sending line is the last that was written
	err      error            // the first failure to write
}

// rewritable is how many characters a line may have that is rewritten: a terminal of 80 columns shows it in one row.
const rewritable = 72

// line writes lines that stay. An empty one is none.
func (s *screen) line(lines ...string) {
	for _, text := range lines {
		if text != "" {
			s.clear()
			s.last = ""
			s.write(text + "\n")
		}
	}
}

// pass writes a line that the next one takes the place of. Elsewhere than on a terminal there is none.
func (s *screen) pass(text string) {
	if text == "" || !s.terminal {
		return
	}
	s.clear()
	s.write(dim + text + plainly)
	s.passing = true
}

// typed says that the person pressed Enter: the terminal has gone on to the next line by itself.
func (s *screen) typed() { s.passing, s.last = false, "" }

// sending shows a message that is on its way. On a terminal it takes the place of the line that was typed.
func (s *screen) sending(id chat.ClientMsgID, body string) {
	text := "sending … " + safe(body)
	if !s.terminal || utf8.RuneCountInString(text) > rewritable || strings.Contains(text, "\n") {
		s.line(text)
		return
	}
	s.clear()
	s.write(lineUp + eraseLine + dim + text + plainly + "\n")
	s.last = id
}

// settled shows what became of a message, in its place if that is still the last line.
func (s *screen) settled(id chat.ClientMsgID, text string) {
	if s.terminal && s.last == id && id != "" {
		s.clear()
		s.write(lineUp + eraseLine)
	}
	s.line(text)
}

func (s *screen) clear() {
	if s.passing {
		s.write(eraseLine)
		s.passing = false
	}
}

func (s *screen) write(text string) {
	if s.err != nil {
		return
	}
	if _, err := io.WriteString(s.to, text); err != nil {
		s.err = fmt.Errorf("write to the terminal: %w", err)
	}
}
