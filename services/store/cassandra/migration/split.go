package migration

import (
	"errors"
	"fmt"
	"strings"
)

// Split cuts a text of CQL into its statements, without comments and semicolons. It knows strings, quoted names, the
// $$ of functions, and comments of the forms --, // and /* */.
func Split(text string) ([]string, error) {
	var all []string
	var current strings.Builder
	end := func() {
		if s := strings.TrimSpace(current.String()); s != "" {
			all = append(all, s)
		}
		current.Reset()
	}
	for i := 0; i < len(text); {
		rest := text[i:]
		switch n, isComment, err := token(rest); {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:i], "\n"), err)
		case isComment:
			current.WriteByte(' ') // as the ring reads it: a comment parts words
			i += n
		case rest[0] == ';':
			end()
			i++
		default:
			current.WriteString(rest[:n])
			i += n
		}
	}
	end()
	return all, nil
}

// quotes is what keeps a semicolon from ending a statement, and what ends that. Inside a string or a name the mark
// is written twice, which reads as two of them side by side, and comes to the same.
var quotes = []struct{ open, close, what string }{
	{"'", "'", "string"}, {`"`, `"`, "quoted name"}, {"$$", "$$", "body in $$"},
}

// token is how many bytes the next piece of text has: a comment, something quoted, or one byte.
func token(text string) (n int, isComment bool, err error) {
	for _, mark := range []string{"--", "//"} {
		if strings.HasPrefix(text, mark) {
			if n = strings.IndexByte(text, '\n'); n < 0 {
				n = len(text)
			}
			return n, true, nil
		}
	}
	if strings.HasPrefix(text, "/*") {
		n = strings.Index(text[2:], "*/")
		if n < 0 {
			return 0, true, errors.New("a comment has no end")
		}
		return 2 + n + 2, true, nil
	}
	for _, q := range quotes {
		if strings.HasPrefix(text, q.open) {
			n = strings.Index(text[len(q.open):], q.close)
			if n < 0 {
				return 0, false, fmt.Errorf("a %s has no end", q.what)
			}
			return len(q.open) + n + len(q.close), false, nil
		}
	}
	return 1, false, nil
}
