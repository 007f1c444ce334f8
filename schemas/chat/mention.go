package chat

import (
	"strings"
	"unicode"
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
// the punctuation that a login may have, what ends the word belongs to the sentence.
// What stands between backticks is code and names nobody.
func MentionsOf(body string) Mentions {
	var m Mentions
	code := false
	before := ' '
	for i, c := range body {
		switch {
		case c == '`':
			code = !code
		case c == '@' && !code && !inWord(before):
			m.add(loginAt(body[i+1:]))
		}
		before = c
	}
	return m
}

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
	if len(login) > MaxLogin {
		return ""
	}
	return login
}

func inLogin(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-+@", c)
}

func inWord(c rune) bool { return inLogin(c) || c == '/' || unicode.IsLetter(c) || unicode.IsDigit(c) }
