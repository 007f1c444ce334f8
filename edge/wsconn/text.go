package wsconn

import "unicode/utf8"

// checkText reports how many bytes at the start of b are whole characters, and whether b can still
// become valid UTF-8. It is false at the first byte that no continuation can repair, so that a bad
// text is refused as early as its bytes allow; what it leaves uncounted is the start of one
// character, three bytes at most.
func checkText(b []byte) (whole int, ok bool) {
	whole = len(b)
	for i := len(b) - 1; i >= 0 && i > len(b)-utf8.UTFMax; i-- {
		if !utf8.RuneStart(b[i]) {
			continue
		}
		// FullRune is true for an invalid start, too: Valid then refuses it.
		if !utf8.FullRune(b[i:]) {
			whole = i
		}
		break
	}
	return whole, utf8.Valid(b[:whole])
}
