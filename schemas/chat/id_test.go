package chat_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
)

// badIDs are what must never become part of a subject, a path or a query.
var badIDs = []string{
	"", "*", ">", ".", "..", "-", "_", "a.b", "a b", " a", "a ", "a\n", "\x00", "a\x00", "A", "aB", "é", "１", "а", // the last is Cyrillic
	"$SYS", "a/b", `a\b`, "a%2e", "a*", ">a", strings.Repeat("a", 27), strings.Repeat("a", 300), "\xff",
}

func TestIDs(t *testing.T) {
	good := []string{"0", "9", "a", "z", "outbox", "01jd7x3c5vt0n9m2k8q4r6s7w1", strings.Repeat("z", 26)}
	for _, s := range good {
		w, err1 := chat.ParseWorkspaceID(s)
		c, err2 := chat.ParseChannelID(s)
		u, err3 := chat.ParseUserID(s)
		if err := errors.Join(err1, err2, err3); err != nil || string(w) != s || string(c) != s || string(u) != s || !chat.IsID(s) {
			t.Errorf("%q: %q %q %q, %v", s, w, c, u, err)
		}
	}
	for _, s := range badIDs {
		w, err1 := chat.ParseWorkspaceID(s)
		c, err2 := chat.ParseChannelID(s)
		u, err3 := chat.ParseUserID(s)
		for what, err := range map[string]error{"workspace_id": err1, "channel_id": err2, "user_id": err3} {
			if !errors.Is(err, chat.ErrBadID) || !strings.Contains(err.Error(), what) {
				t.Errorf("%s %.40q: %v", what, s, err)
			}
		}
		if w != "" || c != "" || u != "" || chat.IsID(s) {
			t.Errorf("%.40q is taken: %q %q %q", s, w, c, u)
		}
	}
}

func TestIDIsExactlyItsAlphabet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-z]{0,30}`)).Draw(t, "id")
		want := len(s) >= 1 && len(s) <= chat.MaxIDLength && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
		if chat.IsID(s) != want {
			t.Fatalf("IsID(%q) is %v", s, !want)
		}
	})
}

func TestIDFromBytes(t *testing.T) {
	for b, want := range map[[16]byte]string{
		{}: "00000000000000000000000000",
		{0x01, 0x93, 0x4f, 0xa8, 0x6c, 0x00, 0x70, 0, 0x80}: "069mza3c01r010000000000000",
		[16]byte(bytes.Repeat([]byte{0xff}, 16)):            "zzzzzzzzzzzzzzzzzzzzzzzzzw",
	} {
		if got := chat.IDFromBytes(b); got != want {
			t.Errorf("%x is %s, not %s", b, got, want)
		}
	}
}

func TestIDFromBytesIsAnIDAndKeepsTheOrder(t *testing.T) {
	sixteen := rapid.SliceOfN(rapid.Byte(), 16, 16)
	rapid.Check(t, func(t *rapid.T) {
		a, b := [16]byte(sixteen.Draw(t, "a")), [16]byte(sixteen.Draw(t, "b"))
		x, y := chat.IDFromBytes(a), chat.IDFromBytes(b)
		if !chat.IsID(x) || len(x) != 26 || strings.ContainsAny(x, "ilou") {
			t.Fatalf("%x is %q", a, x)
		}
		if strings.Compare(x, y) != bytes.Compare(a[:], b[:]) {
			t.Fatalf("%x and %x are ordered other than %s and %s", a, b, x, y)
		}
	})
}
