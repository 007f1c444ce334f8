package copies_test

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/ops/verify/audit/copies"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
)

func TestEventOf(t *testing.T) {
	subject, err := streams.ChatSubject(1, "w1", "c1")
	if err != nil {
		t.Fatal(err)
	}
	posted, err := event.Encode(event.Event{
		Kind: event.MessagePosted, Epoch: 2, ChannelID: "c1", SenderID: "ann", Body: "hello", Thread: 4,
		ClientMsgID: chat.ClientMsgID("01890a5d-ac96-774b-bcce-b302099a8057"),
	})
	if err != nil {
		t.Fatal(err)
	}
	at := record.Event{Space: "w1", Seq: 7}
	good := at
	good.Channel, good.Epoch, good.Kind, good.Sender, good.Body, good.Thread = "c1", 2, "message.posted", "ann", "hello", 4
	good.ID = "01890a5d-ac96-774b-bcce-b302099a8057"
	foreign, torn := at, at
	foreign.Kind = record.Unreadable
	torn.Kind, torn.Channel = record.Unreadable, "c1"
	for name, c := range map[string]struct {
		subject, data string
		want          record.Event
	}{
		"an event":                      {subject, string(posted), good},
		"half of an event":              {subject, string(posted[:20]), torn},
		"a subject that is not of ours": {"chat.1.w1.c1.more", string(posted), foreign},
	} {
		if got := copies.EventOf(c.subject, []byte(c.data), at); got != c.want {
			t.Errorf("%s is %+v, not %+v", name, got, c.want)
		}
	}
}

// The leader's copy is what the stream has, and that of its server, if that has a name.
func TestLines(t *testing.T) {
	e := record.Event{Space: "w1", Seq: 7}
	of := func(source string) record.Event { return record.Event{Source: source, Look: 2, Space: "w1", Seq: 7} }
	for name, c := range map[string]struct {
		leader, server string
		want           []record.Event
	}{
		"the leader's":      {"hub-1", "hub-1", []record.Event{of("stream"), of("hub-1")}},
		"a follower's":      {"hub-1", "hub-2", []record.Event{of("hub-2")}},
		"of one by himself": {"", "", []record.Event{of("stream")}},
	} {
		l := copies.Log{Leader: c.leader}
		if got := l.Lines(copies.Copy{Server: c.server, Events: []record.Event{e}}, 2); !slices.Equal(got, c.want) {
			t.Errorf("%s is %+v", name, got)
		}
	}
}
