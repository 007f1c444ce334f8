package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mentions is who a message's text names.
type Mentions struct {
	Logins  []string // after an @, in lower case, each once, in the order of the text; at most MaxMentions
	Channel bool     // @channel: everybody in the channel
	Here    bool     // @here: everybody in the channel who is active now
}

// Words that stand where a login would. Nobody can have one of them as a login that mentions reach.
const (
	mentionChannel = "channel"
	mentionHere    = "here"
)

// MentionsOf reads who body names. A mention is an @ at the beginning or after a character that is neither a letter, a
// digit nor one of . _ - + @ / (so that no address of e-mail is one), and then a login (CheckLogin), in whatever case; of
// the punctuation that a login may have, what ends the word belongs to the sentence. Letters of a script that has no spaces
// between its words end a word and begin one. A Latin letter or an accent that no login has makes it another word, which
// names nobody. What stands between as many backticks as many is code and names nobody; backticks that nothing closes are text.
func MentionsOf(body string) Mentions {
	var m Mentions
	before := ' '
	for i := 0; i < len(body); {
		c, size := utf8.DecodeRuneInString(body[i:])
		switch {
		case c == '`':
			size = codeAt(body[i:])
		case c == '@' && !inWord(before):
			m.add(loginAt(body[i+1:]))
		}
		before = c
		i += size
	}
	return m
}

// codeAt is the length of the code that s, which begins with a backtick, begins with; or else that of its backticks.
func codeAt(s string) int {
	fence := backticks(s)
	for i := fence; i < len(s); {
		next := strings.IndexByte(s[i:], '`')
		if next < 0 {
			break
		}
		i += next
		n := backticks(s[i:])
		i += n
		if n == fence {
			return i
		}
	}
	return fence
}

// backticks is how many s begins with.
func backticks(s string) int { return len(s) - len(strings.TrimLeft(s, "`")) }

// Names reports whether the text names a user of this login by it, or everybody in the channel.
func (m Mentions) Names(login string) bool {
	if m.Channel || m.Here {
		return true
	}
	for _, l := range m.Logins {
		if strings.EqualFold(l, login) {
			return true
		}
	}
	return false
}

// Nobody reports whether the text names nobody.
func (m Mentions) Nobody() bool { return !m.Channel && !m.Here && len(m.Logins) == 0 }

func (m *Mentions) add(login string) {
	switch login = strings.ToLower(login); login {
	case "":
	case mentionChannel:
		m.Channel = true
	case mentionHere:
		m.Here = true
	default:
		for _, l := range m.Logins {
			if l == login {
				return
			}
		}
		if len(m.Logins) < MaxMentions {
			m.Logins = append(m.Logins, login)
		}
	}
}

// loginAt is the login that s begins with.
func loginAt(s string) string {
	end := len(s)
	for i, c := range s {
		if !inLogin(c) {
			end = i
			break
		}
	}
	login := strings.TrimRight(s[:end], "._-+@")
	after, _ := utf8.DecodeRuneInString(s[end:])
	if len(login) > MaxLogin || len(login) == end && (unicode.Is(unicode.Latin, after) || isAccent(after)) {
		return ""
	}
	return login
}

func inLogin(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-+@", c)
}

func inWord(c rune) bool { return inLogin(c) || c == '/' || isWord(c) }

// isWord reports whether c belongs to the same word as what stands beside it.
func isWord(c rune) bool {
	return (unicode.IsLetter(c) || unicode.IsDigit(c) || isAccent(c)) && !unicode.In(c, unspaced...)
}

// isAccent reports whether c changes the letter before it. What changes the look of an emoji is none.
func isAccent(c rune) bool {
	return unicode.In(c, unicode.Mn, unicode.Mc) && !unicode.Is(unicode.Variation_Selector, c)
}

// unspaced are the scripts that are written without spaces between words.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}
