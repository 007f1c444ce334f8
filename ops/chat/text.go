package chat

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// safe is s as it may be shown on a terminal: what would move its cursor, change its colours or turn its text around is
// written out. Lines after the first are set in, so that no message can look like another one.
func safe(s string) string {
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

// oneLine is s as part of a line.
func oneLine(s string) string { return safe(strings.Join(strings.Fields(s), " ")) }

// joiner holds the parts of one emoji together.
const joiner = '\u200d'

// hidden reports whether r is not seen, and changes what is: marks of direction and other format characters, and the two
// separators of lines.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) && r != joiner
}
