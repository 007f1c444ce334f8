package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// byHand is somebody with the nats command and the hub's password.
type byHand struct {
	t       *testing.T
	nc      *nats.Conn
	js      jetstream.JetStream
	ws      string
	channel string
	stream  string
	shard   int
}

// operator finds where a workspace's log lies, as an operator would: by looking which stream holds its subjects.
func operator(t *testing.T, d *deployment, channel string) *byHand {
	t.Helper()
	o := &byHand{t: t, nc: d.hub(), js: d.jetStream(), ws: d.run.Workspace.ID, channel: channel}
	for shard := range 4 {
		name := fmt.Sprint("CHAT_", shard)
		s, err := o.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(o.subject(shard, o.ws, channel)))
		if err != nil {
			t.Fatal(err)
		}
		if len(info.State.Subjects) > 0 {
			o.stream, o.shard = name, shard
			return o
		}
	}
	t.Fatal("no stream holds the channel")
	return nil
}

func (o *byHand) subject(shard int, ws, channel string) string {
	return fmt.Sprintf("chat.%d.%s.%s", shard, ws, channel)
}

// store publishes to a CHAT stream and answers the seq.
func (o *byHand) store(subject, payload string) uint64 {
	o.t.Helper()
	ack, err := o.js.Publish(o.t.Context(), subject, []byte(payload))
	if err != nil {
		o.t.Fatalf("%s: %v", subject, err)
	}
	return ack.Sequence
}

// parked is the reasons that ADVISORIES holds, by the seq in the stream.
func (o *byHand) parked(want int) map[uint64]string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	c, err := o.js.OrderedConsumer(ctx, "ADVISORIES", jetstream.OrderedConsumerConfig{})
	if err != nil {
		o.t.Fatal(err)
	}
	reasons := make(map[uint64]string)
	for len(reasons) < want {
		m, err := c.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			o.t.Errorf("ADVISORIES holds %v, and then: %v", reasons, err)
			return reasons
		}
		var a struct {
			Stream, Consumer, Reason string
			StreamSeq                uint64 `json:"stream_seq"`
		}
		if err := json.Unmarshal(m.Data(), &a); err != nil {
			o.t.Fatal(err)
		}
		if a.Stream == o.stream && strings.Contains(m.Subject(), "MSG_TERMINATED") {
			reasons[a.StreamSeq] = a.Reason
		}
	}
	return reasons
}

// Garbage that somebody puts on a chat subject by hand reaches no client, stops no consumer, and is parked with
// its reason. A kind of a later version is no garbage: it is carried.
func TestGarbageByHand(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general, random := alice.channel("general"), alice.channel("random")
	a, b := alice.open(), bob.open()
	o := operator(t, d, general)
	here, all := o.subject(o.shard, o.ws, general), o.subject(o.shard, o.ws, "-")
	posted := func(channel, more string) string {
		return fmt.Sprintf(`{"v":1,"kind":"message.posted","epoch":1,"channel_id":%q,"sender_id":%q,"client_msg_id":"x1","body":"forged"%s}`, channel, alice.id, more)
	}
	a.say(general, "before")
	var garbage []uint64
	for subject, payloads := range map[string][]string{
		here: {
			"", "hello", "{", "null", "[]", `{"v":1}`, posted(random, ""), posted(general, `,"seq":7`), posted(general, `,"type":"hello"`),
			posted(general, `,"server_msg_id":"1.1"`), posted(general, `,"prev":1`), posted(general, `,"ts":"now"`),
			posted(general, `,"body":"twice"`), posted("*", ""), posted(general, `,"more":"`+strings.Repeat("x", 60<<10)+`"}{`), "\xff\xfe",
			strings.Repeat("[", 60<<10), strings.Replace(posted(general, ""), `"body":"forged"`, `"body":5`, 1),
			strings.Replace(posted(general, ""), alice.id, "../etc", 1),
		},
		all:                                   {posted(general, ""), "hello"},
		here + ".deeper":                      {posted(general, "")},
		"chat.0.x.y.z":                        {"foreign"},
		o.subject(o.shard, o.ws, "Not-An-Id"): {posted("Not-An-Id", "")},
	} {
		for _, payload := range payloads {
			seq := o.store(subject, payload)
			if subject != "chat.0.x.y.z" || o.shard == 0 {
				garbage = append(garbage, seq)
			}
		}
	}
	carried := o.store(here, fmt.Sprintf(`{"v":1,"kind":"poll.opened","epoch":1,"channel_id":%q,"sender_id":%q,"question":"Lunch?","body":{"a":[1]}}`, general, bob.id))
	carriedAll := o.store(all, fmt.Sprintf(`{"v":2,"kind":"user.updated","epoch":1,"sender_id":%q,"user":"of a later form"}`, bob.id))
	after := a.say(general, "after")

	for how, frames := range map[string][]frame{"live": b.until(after), "resumed": bob.open(b.hello.Head).until(after)} {
		checkOrder(t, how, bob.id, frames)
		checkBodies(t, how, frames, "before", "after")
		var events []uint64
		for _, f := range frames {
			if f.Type == "event" {
				events = append(events, f.Seq)
			}
			if f.Seq == carried && (f.Kind != "poll.opened" || !strings.Contains(f.raw, `"question":"Lunch?"`)) {
				t.Errorf("%s: a kind of a later version: %s", how, f.raw)
			}
		}
		if !slices.Equal(events, []uint64{carried, carriedAll}) {
			t.Errorf("%s: events %v, want %d and %d", how, events, carried, carriedAll)
		}
	}
	d.settled()
	messages, complete := bob.history(general)
	if last := messages[len(messages)-1]; last.Body != "after" || messages[len(messages)-2].Body != "before" || complete < after {
		t.Errorf("history through %d ends with %+v", complete, messages[len(messages)-2:])
	}
	reasons := o.parked(len(garbage))
	for _, seq := range garbage {
		if len(reasons[seq]) < 5 {
			t.Errorf("%d was not parked with a reason: %q", seq, reasons[seq])
		}
	}
	if reasons[carried]+reasons[carriedAll]+reasons[after] != "" {
		t.Errorf("what is no garbage was parked: %v", reasons)
	}
}

// What somebody puts on the fan subjects was never stored: it reaches no client, and who is connected misses nothing.
func TestForgedRepublishes(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	a, b := alice.open(), bob.open()
	o := operator(t, d, general)
	head := a.say(general, "before")
	payload := fmt.Sprintf(`{"v":1,"kind":"message.posted","epoch":1,"channel_id":%q,"sender_id":%q,"client_msg_id":"x1","body":"forged"}`, general, alice.id)
	for _, headers := range []map[string]string{
		nil,
		{"Nats-Sequence": "x"},
		{"Nats-Sequence": fmt.Sprint(head + 1000), "Nats-Last-Sequence": fmt.Sprint(head + 999)},
		{"Nats-Sequence": "18446744073709551615", "Nats-Last-Sequence": "0"},
		{"Nats-Sequence": fmt.Sprint(head), "Nats-Last-Sequence": "0"},
	} {
		for _, subject := range []string{"fan.%d.%s.%s", "fan.%d.%s.%s.deeper"} {
			m := nats.NewMsg(fmt.Sprintf(subject, o.shard, o.ws, general))
			m.Data = []byte(payload)
			for k, v := range headers {
				m.Header.Set(k, v)
			}
			m.Header.Set("Nats-Stream", o.stream)
			m.Header.Set("Nats-Subject", o.subject(o.shard, o.ws, general))
			m.Header.Set("Nats-Time-Stamp", time.Now().UTC().Format(time.RFC3339Nano))
			if err := o.nc.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := o.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var stored []uint64
	for i := range 5 {
		stored = append(stored, alice.post(general, map[string]any{"body": fmt.Sprint(i)}).Seq)
	}
	seen := make(map[uint64]bool)
	for !seen[stored[4]] {
		f := b.next()
		if f.Type == "resync" { // honest: between what was shown and the log something did not fit
			for _, m := range bob.list(fmt.Sprintf("/channels/%s/messages?after=%d", general, head)).Messages {
				seen[m.Seq] = true
			}
		}
		if f.Message != nil && f.Message.Body == "forged" {
			t.Errorf("a client was shown %s", f.raw)
		}
		seen[f.Seq] = true
	}
	for _, seq := range stored {
		if !seen[seq] {
			t.Errorf("bob never saw %d", seq)
		}
	}
	if status, _ := alice.call("GET", "/channels/"+general, nil); status != http.StatusOK {
		t.Errorf("the channel: %d", status)
	}
}
