package chat_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
)

// wantTaken holds a check to what it takes and refuses.
func wantTaken(t *testing.T, check func(string) error, taken, refused []string, bad error) {
	t.Helper()
	for _, s := range taken {
		if err := check(s); err != nil {
			t.Errorf("%.60q is refused: %v", s, err)
		}
	}
	for _, s := range refused {
		if err := check(s); !errors.Is(err, bad) {
			t.Errorf("%.60q: %v", s, err)
		}
	}
}

// disguises make one text look like another, or like none.
var disguises = []string{
	"a\x00b", "a\tb", "a\nb", "a\x7fb", "a\u0085b", "a\u200bb", "a\u202eb", "a\u2066b", "a\u2028b", "a\u2029b", "a\ufeffb", "a\xffb", "\xed\xa0\x80",
}

func TestNames(t *testing.T) {
	wantTaken(t, chat.CheckName,
		[]string{"a", "Ada Lovelace", "Ünïcode Ltd.", "株式会社", "O'Neil & Söhne", "🌳", "e\u0301", strings.Repeat("ü", 80)},
		append([]string{"", " ", " a", "a ", "\u3000a", "a\u00a0", strings.Repeat("a", 81)}, disguises...),
		chat.ErrBadName)
}

func TestChannelNames(t *testing.T) {
	wantTaken(t, chat.CheckChannelName,
		[]string{"general", "a", "0", "team-a_b.c", "über", "всем", "日本語", "٣", strings.Repeat("ж", 80)},
		append([]string{"", "General", "aB", "ÜBER", "ǅ", "a b", " a", "#a", "@a", "a/b", "a*", ">", "a🌳", "a\u00a0b", strings.Repeat("a", 81)}, disguises...),
		chat.ErrBadChannelName)
}

func TestTopics(t *testing.T) {
	wantTaken(t, chat.CheckTopic,
		[]string{"", " ", "What we ship next 🌳", strings.Repeat("界", 250)},
		append([]string{strings.Repeat("a", 251)}, disguises...),
		chat.ErrBadTopic)
}

func TestLogins(t *testing.T) {
	wantTaken(t, chat.CheckLogin,
		[]string{"a", "alice", "a.b_c-d+e@example.org", "007", strings.Repeat("a", 64)},
		append([]string{"", "Alice", "a b", "é", "a\n", "a/b", "*", "a:b", strings.Repeat("a", 65)}, disguises...),
		chat.ErrBadLogin)
}

func TestPasswords(t *testing.T) {
	wantTaken(t, chat.CheckPassword,
		[]string{"12345678", "correct horse battery staple", "ääää", "        ", strings.Repeat("a", 128)},
		[]string{"", "1234567", "äää", strings.Repeat("a", 129), strings.Repeat("ä", 65), "12345678\xff"},
		chat.ErrBadPassword)
}
