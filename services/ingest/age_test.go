package ingest_test

import (
	"encoding/hex"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/ingest"
)

// idAt is a UUIDv7 that was made when a clock read at.
func idAt(at time.Time, n int) chat.ClientMsgID {
	var b [16]byte
	ms := at.UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6], b[8] = 0x70, 0x80
	b[12], b[13], b[14], b[15] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	h := hex.EncodeToString(b[:])
	return chat.ClientMsgID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

func TestMayBeOld(t *testing.T) {
	const window = 2 * time.Minute
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		id    chat.ClientMsgID
		retry bool
		want  bool
	}{
		{"a new id", idAt(now, 0), false, false},
		{"half the window old", idAt(now.Add(-window/2), 0), false, false},
		{"older than half the window", idAt(now.Add(-window/2-time.Second), 0), false, true},
		{"a little in the future", idAt(now.Add(window/8), 0), false, false},
		{"far in the future", idAt(now.Add(window/8+time.Second), 0), false, true},
		{"not a UUIDv7", "hello-1", false, true},
		{"the client says so", idAt(now, 0), true, true},
	} {
		if got := ingest.MayBeOld(c.id, c.retry, now, window); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A resend that the log has forgotten is looked up whenever the client's clock is ahead by less than half of
// the window, and the search then begins before the first send was stored.
func TestEveryForgottenSendIsLookedUp(t *testing.T) {
	const window = 2 * time.Minute
	rapid.Check(t, func(t *rapid.T) {
		made := time.UnixMilli(1_800_000_000_000)
		skew := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(window/2)-int64(time.Millisecond)).Draw(t, "skew"))
		stored := made.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "on its way")))
		now := stored.Add(window + time.Duration(rapid.Int64Range(1, int64(100*time.Hour)).Draw(t, "later")))
		id := idAt(made.Add(skew), 0)
		if !ingest.MayBeOld(id, false, now, window) {
			t.Fatalf("an id made at %v by a clock %v ahead is not looked up at %v", made, skew, now)
		}
		if since, ok := ingest.MadeSince(id, now, window); ok && since.After(stored) {
			t.Fatalf("the search begins at %v, after the send was stored at %v", since, stored)
		}
	})
}
