// Package plain makes text that somebody else wrote fit for a terminal: what would move its cursor, change its colours or
// turn its text around is written out, so that no message, name or reason can look like something that it is not.
package plain

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is s as it may be shown. Lines after the first are set in, so that none can look like a line of the program's own.
func Text(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n':
			b.WriteString("\n    ")
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Line is s as part of a line.
func Line(s string) string { return Text(strings.Join(strings.Fields(s), " ")) }

// JSON is text that is JSON, with the same characters written out in JSON's own way: it reads as it did before. Line breaks and
// spaces between its parts stay.
func JSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < 0x7f: // of control characters JSON has none but white space
			out = append(out, text[0])
		case r == utf8.RuneError && size == 1:
			out = append(out, `\ufffd`...)
		case r > 0xffff && hidden(r):
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		case unicode.IsControl(r) || hidden(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return out
}

// Encode writes a value as one line of JSON that a terminal can show.
func Encode(to io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = to.Write(append(JSON(text), '\n'))
	return err
}

// joiner holds the parts of one emoji together.
const joiner = '\u200d'

// hidden reports whether r is not seen, and changes what is: marks of direction and other format characters, and the two
// separators of lines.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) && r != joiner
}
