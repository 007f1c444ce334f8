package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/ijson"
	"github.com/canopychat/canopy/schemas/wire"
)

// FuzzParse: no bytes make Parse panic. What it takes of a known kind is valid by the schema, and encodes
// to bytes that parse to the same. What it takes of any kind makes a frame that every client reads the same.
func FuzzParse(f *testing.F) {
	for name := range golden {
		f.Add(goldenBytes(f, name))
	}
	for _, cases := range []map[string]string{refused, badForTheSchema} {
		for _, payload := range cases {
			if len(payload) < 1000 {
				f.Add([]byte(payload))
			}
		}
	}
	f.Add([]byte(`{` + foreign + `,"body":{"question":"when?"}}`))
	f.Add([]byte(`{` + later + `,"body":["a","b"],"message_seq":-1}`))
	f.Add([]byte("{ \"channel\" : { } ,\t" + posted + ",\"body\":\"\\ud83d\\ude00\"}\n"))
	s := compiled(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := bytes.Clone(payload)
		e, err := event.Parse(payload)
		if !bytes.Equal(before, payload) {
			t.Fatal("it wrote to the stored bytes")
		}
		if err != nil {
			return
		}
		if e.Known() {
			if err := validate(t, s, payload); err != nil {
				t.Fatalf("%q: %v", payload, err)
			}
			checkAgain(t, e)
		}
		checkFrame(t, e, payload)
	})
}

// checkAgain writes an event that was parsed and reads it again.
func checkAgain(t *testing.T, e event.Event) {
	t.Helper()
	b, err := event.Encode(e)
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	if len(b) > chat.MaxStoredEvent { // it was written with fewer escapes
		return
	}
	again, err := event.Parse(b)
	if diff := cmp.Diff(e, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Fatalf("%s: %v\n%s", b, err, diff)
	}
}

// checkFrame holds the frame of an event to what wire promises: it has everything that was stored, and the
// place that the log gave it, each once.
func checkFrame(t *testing.T, e event.Event, payload []byte) {
	t.Helper()
	place := wire.Place{
		Epoch: e.Epoch, ChannelID: e.ChannelID, Seq: 7, Prev: 5,
		At: time.Date(2026, 3, 1, 12, 30, 45, 678_900_000, time.FixedZone("", 3600)),
	}
	kind := e.Kind
	if !e.Known() {
		kind = ""
	}
	frame := wire.AppendStored(nil, place, kind, payload)
	if !utf8.Valid(frame) || !json.Valid(frame) {
		t.Fatalf("%q makes %q", payload, frame)
	}
	if err := ijson.Check(frame, ijson.Rules{MaxDepth: event.MaxDepth + 1}); err != nil {
		t.Fatalf("%q makes %q: %v", payload, frame, err)
	}
	outer := fieldsIn(t, frame)
	want := map[string]string{"type": `"event"`, "seq": "7", "prev": "5", "ts": `"2026-03-01T11:30:45.678Z"`}
	holder := outer
	if kind == event.MessagePosted {
		want["type"], want["channel_id"] = `"message.deliver"`, fmt.Sprintf("%q", e.ChannelID)
		holder = fieldsIn(t, outer["message"])
		inner := map[string]string{"seq": "7", "ts": want["ts"], "server_msg_id": fmt.Sprintf(`"%d.7"`, e.Epoch)}
		wantFields(t, frame, holder, inner)
	}
	wantFields(t, frame, outer, want)
	for name, value := range fieldsIn(t, payload) {
		if !bytes.Equal(holder[name], value) {
			t.Fatalf("%q makes %q: %s is %s", payload, frame, name, holder[name])
		}
	}
}

func fieldsIn(t *testing.T, object []byte) map[string]json.RawMessage {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		t.Fatalf("%q: %v", object, err)
	}
	return fields
}

func wantFields(t *testing.T, frame []byte, got map[string]json.RawMessage, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if string(got[name]) != value {
			t.Fatalf("%q: %s is %s, not %s", frame, name, got[name], value)
		}
	}
}
