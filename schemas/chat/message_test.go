package chat_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
)

func TestClientMsgIDs(t *testing.T) {
	check := func(s string) error {
		id, err := chat.ParseClientMsgID(s)
		if (err == nil && string(id) != s) || (err != nil && id != "") {
			t.Errorf("%q is read as %q, %v", s, id, err)
		}
		return err
	}
	wantTaken(t, check,
		[]string{"1", "a", "Z", "-", "_", "msg-1_B", "01936b2e-7c00-7000-8000-000000000001", strings.Repeat("x", 64)},
		append([]string{"", " ", "a b", "a.b", "a*", ">", "é", `a"`, `a\`, "a\n", "{}", strings.Repeat("x", 65), strings.Repeat("x", 300)}, disguises...),
		chat.ErrBadClientMsgID)
}

func TestTimeOfAClientMsgID(t *testing.T) {
	// RFC 9562, appendix A.6: 2022-02-22 14:22:22.00 -05:00.
	const rfc = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"
	when := time.Date(2022, 2, 22, 19, 22, 22, 0, time.UTC)
	for _, id := range []string{rfc, strings.ToLower(rfc)} {
		if at, ok := chat.ClientMsgID(id).Time(); !ok || !at.Equal(when) {
			t.Errorf("%s is of %v, %v", id, at, ok)
		}
	}
	for name, id := range map[string]string{
		"a UUIDv4":                 "919108f7-52d1-4320-9bac-f847db4148a8",
		"another variant":          "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f",
		"the variant of NCS":       "017f22e2-79b0-7cc3-08c4-dc0c0c07398f",
		"without hyphens":          "017f22e279b07cc398c4dc0c0c07398f",
		"hyphens elsewhere":        "017f22e27-9b0-7cc3-98c4-dc0c0c07398f",
		"no digit in the time":     "017g22e2-79b0-7cc3-98c4-dc0c0c07398f",
		"no digit at the end":      "017f22e2-79b0-7cc3-98c4-dc0c0c07398_",
		"control characters":       "\x10\x117f22e2-79b0-7cc3-98c4-dc0c0c07398f",
		"too short":                "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"too long":                 "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"in braces":                "{017f22e2-79b0-7cc3-98c4-dc0c0c07398}",
		"any other text":           "msg-1",
		"nothing":                  "",
		"thirty-six other letters": strings.Repeat("x", 36),
	} {
		if at, ok := chat.ClientMsgID(id).Time(); ok || !at.IsZero() {
			t.Errorf("%s, %s, is of %v", name, id, at)
		}
	}
}

func TestEveryUUIDv7HasItsMillisecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "random"))
		ms := rapid.Int64Range(0, 1<<48-1).Draw(t, "ms")
		for i := range 6 {
			raw[i] = byte(ms >> (40 - 8*i))
		}
		raw[6], raw[8] = 0x70|raw[6]&0xf, 0x80|raw[8]&0x3f
		at, ok := chat.ClientMsgID(raw.String()).Time()
		if !ok || at.UnixMilli() != ms {
			t.Fatalf("%s is of %v, %v, not of %d", raw, at, ok, ms)
		}
	})
}

func FuzzClientMsgID(f *testing.F) {
	for _, s := range []string{"017F22E2-79B0-7CC3-98C4-DC0C0C07398F", "msg-1", "", "\x107f22e2-79b0-7cc3-98c4-dc0c0c07398f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, timed := chat.ClientMsgID(s).Time()
		u, err := uuid.Parse(s)
		if want := err == nil && len(s) == 36 && u.Version() == 7 && u.Variant() == uuid.RFC4122; timed != want {
			t.Fatalf("%q is a UUIDv7: %v", s, timed)
		}
		if _, err := chat.ParseClientMsgID(s); timed && err != nil {
			t.Fatalf("%q has a time and is refused: %v", s, err)
		}
	})
}

func TestBodies(t *testing.T) {
	full := strings.Repeat("a", chat.MaxBody)
	for _, tt := range []struct {
		body        string
		attachments int
		ok          bool
	}{
		{"hello", 0, true},
		{" hello\n\tworld ", 0, true},
		{"\u2028 line separators, \u202e and \x07 are text", 0, true},
		{full, 0, true},
		{full, 10, true},
		{"", 1, true},
		{"", 0, false},
		{" \n\t\u3000", 0, false},
		{" ", 1, false},
		{full + "a", 0, false},
		{full[1:] + "é", 0, false},
		{"a\x00b", 0, false},
		{"a\x00b", 1, false},
		{"a\xffb", 0, false},
		{"\xed\xa0\x80", 0, false},
	} {
		err := chat.CheckBody(tt.body, tt.attachments)
		if (err == nil) != tt.ok || (err != nil && !errors.Is(err, chat.ErrBadBody)) {
			t.Errorf("%.20q with %d attachments: %v", tt.body, tt.attachments, err)
		}
	}
}

func TestEmoji(t *testing.T) {
	wantTaken(t, chat.CheckEmoji,
		[]string{"👍", "👍🏽", "👩‍💻", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️", "1️⃣", ":+1:", ":party_parrot:", "+1", "...", "?", "#", "%2f", `"`, strings.Repeat("a", 64)},
		[]string{"", " ", "a b", "a\tb", "a/b", "/", ".", "..", "a\x00", "\x7f", "\u0080", "\u0085", "\u00a0", "\u2003", "\u2028", "\u3000", "\xff", strings.Repeat("a", 65), strings.Repeat("👍", 17)},
		chat.ErrBadEmoji)
}

func TestServerMsgIDIsACursor(t *testing.T) {
	m := chat.Message{Epoch: 3, Seq: 41}
	if got := m.ServerMsgID(); got != "3.41" {
		t.Errorf("it is %s", got)
	}
}

// The error's texts are for users: they say the limits that the constants hold.
func TestLimitsAreSaidAsTheyAre(t *testing.T) {
	for _, tt := range []struct {
		err  error
		says string
	}{
		{chat.ErrBadID, fmt.Sprintf("1 to %d ", chat.MaxIDLength)},
		{chat.ErrBadClientMsgID, fmt.Sprintf("1 to %d ", chat.MaxClientMsgID)},
		{chat.ErrBadBody, fmt.Sprintf("1 to %d ", chat.MaxBody)},
		{chat.ErrBadEmoji, fmt.Sprintf("1 to %d ", chat.MaxEmoji)},
		{chat.ErrBadName, fmt.Sprintf("1 to %d ", chat.MaxName)},
		{chat.ErrBadChannelName, fmt.Sprintf("1 to %d ", chat.MaxName)},
		{chat.ErrBadTopic, fmt.Sprintf("at most %d ", chat.MaxTopic)},
		{chat.ErrBadLogin, fmt.Sprintf("1 to %d ", chat.MaxLogin)},
		{chat.ErrBadPassword, fmt.Sprintf("%d to %d ", chat.MinPassword, chat.MaxPassword)},
	} {
		if !strings.Contains(tt.err.Error(), tt.says) {
			t.Errorf("%q does not say %q", tt.err, tt.says)
		}
	}
}
