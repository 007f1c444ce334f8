package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func TestAStateIsTextThatAnOperatorReads(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 59, 0, 123456789, time.FixedZone("", 3600))
	d := chat.Delivery{WorkspaceID: "acme", ChannelID: "general", Seq: 42, UserID: "bob", Status: chat.DeliveryDead, Why: chat.OwedDirect,
		Round: 1, Attempts: []chat.Attempt{{At: at, Target: "push:1", Error: "410"}}, Reason: "given up", RoutedAt: at, At: at}
	const want = `{"channel_id":"general","status":"dead","why":"direct","round":1,` +
		`"attempts":[{"at":"2026-03-01T22:59:00.123Z","target":"push:1","error":"410"}],` +
		`"reason":"given up","routed_at":"2026-03-01T22:59:00.123Z","at":"2026-03-01T22:59:00.123Z"}`
	text, err := store.EncodeDelivery(d)
	if err != nil || text != want {
		t.Errorf("%s, %v; want\n%s", text, err, want)
	}
	kept := d
	kept.RoutedAt, kept.At = at.UTC().Truncate(time.Millisecond), at.UTC().Truncate(time.Millisecond)
	kept.Attempts = []chat.Attempt{{At: kept.At, Target: "push:1", Error: "410"}}
	got, err := store.ParseDelivery(store.MessageKey{WorkspaceID: "acme", Seq: 42}, "bob", text)
	if diff := cmp.Diff(kept, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if !d.Attempts[0].At.Equal(at) {
		t.Error("the caller's attempts were changed")
	}
}

func TestAStateOfNoMessageIsRefused(t *testing.T) {
	for _, seq := range []chat.Seq{0, chat.MaxSeq + 1, 1<<64 - 1} {
		if text, err := store.EncodeDelivery(chat.Delivery{Seq: seq}); !fault.Is(err, fault.Invalid) || text != "" {
			t.Errorf("%d: %q, %v", seq, text, err)
		}
	}
}

// What is read is written again as it was.
func FuzzParseDelivery(f *testing.F) {
	for _, text := range []string{"", "{}", "[]", "null", `{"status":"dead","at":"2026-03-01T22:59:00.123456Z"}`, `{"at":1}`,
		`{"attempts":[{"at":"2026-03-01T22:59:00Z","target":""}],"why":"here","round":-1}`, `{"at":"9999-12-31T23:59:59.9+23:59"}`} {
		f.Add(text)
	}
	key := store.MessageKey{WorkspaceID: "acme", Seq: 42}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := store.ParseDelivery(key, "bob", text)
		if err != nil {
			if !cmp.Equal(d, chat.Delivery{}) {
				t.Fatalf("%q: %+v with %v", text, d, err)
			}
			return
		}
		again, err := store.EncodeDelivery(d)
		if err != nil {
			return // a year that has no text in UTC
		}
		if !json.Valid([]byte(again)) {
			t.Fatalf("%q is written as %q", text, again)
		}
		second, err := store.ParseDelivery(key, "bob", again)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, again, err)
		}
		if third, err := store.EncodeDelivery(second); err != nil || third != again {
			t.Fatalf("%q is written as %q and then as %q, %v", text, again, third, err)
		}
	})
}
