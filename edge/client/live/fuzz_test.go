package live_test

import (
	"encoding/json"
	"testing"

	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/schemas/chat"
)

// Whatever a server sends: it is taken or refused, and what is shown is above the cursor of before.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{
		`{"type":"hello","user_id":"me","epoch":1,"head":9}`, `{"type":"resync","reason":"gap","head":7}`, `{"type":"message.deliver","seq":6,"prev":3,"channel_id":"a"}`,
		`{"type":"event","kind":"member.joined","user_id":"","seq":6}`, `{"seq":-1}`, `{"type":5}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o := live.NewOrder(chat.Cursor{Epoch: 1, Seq: 5})
		events, err := o.Take(data)
		if err != nil && o.At() != (chat.Cursor{Epoch: 1, Seq: 5}) {
			t.Fatalf("%s moved the cursor to %s and is refused: %v", data, o.At(), err)
		}
		for _, e := range events {
			if shown, is := e.(live.Changed); is && (shown.Seq <= 5 || shown.Seq != o.At().Seq) {
				t.Fatalf("%s is shown at %s", data, o.At())
			}
		}
	})
}

// Whatever a script sends: it is refused, or goes out as JSON that has a name for its answer, also the second time.
func FuzzOutbox(f *testing.F) {
	for _, s := range []string{`{}`, `{"type":"message.send"}`, `{"type":"message.send","client_msg_id":null,"retry":false}`, `{"ref":null}`, `{"ref":{"a":[1]}} `, "{\n}", `x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, frame string) {
		b := live.NewOutbox(1, 1)
		if _, err := b.Add(frame, fixed("m1")); err != nil {
			return
		}
		for range 2 {
			out, _, err := b.Next(noon)
			if err != nil || !json.Valid([]byte(out)) {
				t.Fatalf("%q goes out as %q, %v", frame, out, err)
			}
			b.Lost()
		}
	})
}
