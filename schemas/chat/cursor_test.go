package chat_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
)

var (
	anyEpoch = rapid.Map(rapid.Uint16Range(1, uint16(chat.MaxEpoch)), func(n uint16) chat.Epoch { return chat.Epoch(n) })
	anySeq   = rapid.Map(rapid.Uint64Range(0, uint64(chat.MaxSeq)), func(n uint64) chat.Seq { return chat.Seq(n) })
)

func TestParseCursor(t *testing.T) {
	for s, want := range map[string]chat.Cursor{
		"1.0":                   {Epoch: 1},
		"1.1":                   {Epoch: 1, Seq: 1},
		"12.345":                {Epoch: 12, Seq: 345},
		"16383.281474976710655": {Epoch: chat.MaxEpoch, Seq: chat.MaxSeq},
	} {
		got, err := chat.ParseCursor(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", ".", "1", "1.", ".1", "0.1", "1.1.1", "01.1", "1.01", "1.00", "+1.1", "1.+1", "-1.1", "1.-1", " 1.1", "1.1 ", "1. 1", "1.1\n",
		"1_0.1", "0x1.1", "1.1e3", "1.1\x00", "1,1", "１.１", "a.b",
		"16384.1", "65536.1", "1.281474976710656", "1.9223372036854775808", "1.18446744073709551616", strings.Repeat("9", 5000) + ".1",
	} {
		if got, err := chat.ParseCursor(s); !errors.Is(err, chat.ErrBadCursor) || got != (chat.Cursor{}) {
			t.Errorf("%.40q is taken: %v, %v", s, got, err)
		}
	}
}

func TestACursorHasOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := chat.Cursor{Epoch: anyEpoch.Draw(t, "epoch"), Seq: anySeq.Draw(t, "seq")}
		got, err := chat.ParseCursor(want.String())
		if err != nil || got != want {
			t.Fatalf("%s is read as %v, %v", want, got, err)
		}
		text := rapid.StringMatching(`[0-9+ ]{0,6}\.[0-9+ ]{0,16}`).Draw(t, "text")
		if c, err := chat.ParseCursor(text); err == nil && c.String() != text {
			t.Fatalf("%q and %q are one cursor", text, c)
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"1.0", "16383.281474976710655", "0.1", "1.01", "+1.1", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := chat.ParseCursor(s)
		if (err == nil) != (c.Epoch != 0) || (err == nil && c.String() != s) {
			t.Fatalf("%q: %v, %v", s, c, err)
		}
	})
}

// A later epoch is above every seq of the earlier ones; in one epoch the seq decides. A version is positive and
// leaves bit 62 free, so that it fits SQL's and Cassandra's signed 64 bits with the bit of deletes.
func TestVersionsOrderTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := chat.Cursor{Epoch: anyEpoch.Draw(t, "epoch a"), Seq: anySeq.Draw(t, "seq a")}
		b := chat.Cursor{Epoch: rapid.OneOf(rapid.Just(a.Epoch), anyEpoch).Draw(t, "epoch b"), Seq: anySeq.Draw(t, "seq b")}
		v, w := chat.VersionOf(a.Epoch, a.Seq), chat.VersionOf(b.Epoch, b.Seq)
		if cmp.Compare(v, w) != cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq)) {
			t.Fatalf("%s is version %d, %s is %d", a, v, b, w)
		}
		if v <= 0 || v >= 1<<62 || v.Seq() != a.Seq || (v|1<<62).Seq() != a.Seq {
			t.Fatalf("%s is version %d of seq %d", a, v, v.Seq())
		}
	})
}

func TestVersionBounds(t *testing.T) {
	for _, tt := range []struct {
		epoch chat.Epoch
		seq   chat.Seq
		want  chat.Version
	}{
		{1, 0, 1 << 48},
		{1, 1, 1<<48 + 1},
		{1, chat.MaxSeq, 2<<48 - 1},
		{2, 0, 2 << 48},
		{chat.MaxEpoch, chat.MaxSeq, 1<<62 - 1},
	} {
		if got := chat.VersionOf(tt.epoch, tt.seq); got != tt.want {
			t.Errorf("%d.%d is version %d, not %d", tt.epoch, tt.seq, got, tt.want)
		}
	}
}
